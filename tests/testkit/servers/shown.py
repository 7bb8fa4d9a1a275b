"""The commands that a page shows, run against a mesh on other ports."""

import asyncio
import re
import sys
from pathlib import Path

from cli.mesh.plan import ports_from
from tests.testkit.servers.hutong_up import Up, child_environment

FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
RUN_SECONDS = 120


def blocks(page: Path, language: str) -> list[str]:
    """Returns the fenced blocks of a language."""
    return [body for name, body in FENCE.findall(page.read_text(encoding="utf-8")) if name == language]


def placed(text: str, up: Up) -> str:
    """Returns the text with this mesh's ports and data instead of the defaults."""
    actual = {"http": up.endpoints.http.rpartition(":")[2], "gateway": up.endpoints.gateway.rpartition(":")[2]}
    actual |= {"verdict": up.endpoints.verdict.rpartition(":")[2], "lookup": up.endpoints.lookup.rpartition(":")[2]}
    actual["operations"] = up.endpoints.operations.rpartition(":")[2]
    actual |= {name: address.rpartition(":")[2] for name, address in up.endpoints.records.items()}
    defaults = {str(port): actual[name] for name, port in ports_from(8080).items()}
    text = re.sub(r"127\.0\.0\.1:(\d+)", lambda port: f"127.0.0.1:{defaults[port[1]]}", text)
    return text.replace(".hutong", str(up.data))


async def run(*command: str, cwd: Path) -> str:
    """Runs a command in a folder; returns its output. Fails unless its status is 0."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=child_environment(),
        cwd=cwd,
    )
    out, err = await asyncio.wait_for(process.communicate(), RUN_SECONDS)
    assert process.returncode == 0, (command, out.decode(), err.decode())
    return out.decode()


async def run_shown(block: str, up: Up, cwd: Path) -> str:
    """Runs a block in a shell and a folder; returns its output."""
    # The command as it is installed; a working tree runs it by its module.
    hutong = f'hutong() {{ {sys.executable} -m cli "$@"; }}\n'
    return await run("bash", "-euc", hutong + placed(block, up), cwd=cwd)
