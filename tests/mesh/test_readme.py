"""Everything README.md shows runs, against a mesh like the one it describes."""

import importlib
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from tests.testkit.servers.hutong_up import Up, running
from tests.testkit.servers.shown import blocks, placed, run, run_shown

README = Path(__file__).resolve().parents[2] / "README.md"
SETTINGS = [
    ("services.records.settings", "Settings"),
    ("services.lookup.settings", "Settings"),
    ("services.verdict.settings", "Settings"),
    ("gateway.settings", "GatewaySettings"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def up(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Up]:
    """A mesh with sample people."""
    async with running(tmp_path_factory.mktemp("readme") / "data") as mesh:
        yield mesh


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("block", blocks(README, "sh"))
async def test_the_commands_run(up: Up, block: str) -> None:
    """Each command block ends well in a shell, and what it gets from the API is an answer and no error."""
    out = await run_shown(block, up, README.parent)
    assert out.strip()
    assert "urn:hutong:reason:" not in out


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("program", blocks(README, "python"))
async def test_the_programs_run(up: Up, program: str) -> None:
    """The program for regional systems stores its record and gets a verdict that says so."""
    out = await run(sys.executable, "-c", placed(program, up), cwd=README.parent)
    assert re.fullmatch(r"1 1 \S.*\n", out), out


def test_the_programs_need_the_stubs_alone() -> None:
    """No program imports anything of this repository but the contracts."""
    imported = {name for program in blocks(README, "python") for name in re.findall(r"(?:from|import) (\w+)", program)}
    assert imported & {"services", "gateway", "cli", "tests"} == set()


def test_the_settings_exist() -> None:
    """Every environment variable in README.md is a setting of some process."""
    known = {
        f"HUTONG_{field.name.upper()}"
        for module, kind in SETTINGS
        for field in msgspec.structs.fields(getattr(importlib.import_module(module), kind))
    }
    assert set(re.findall(r"HUTONG_\w+", README.read_text(encoding="utf-8"))) - known == set()


def test_the_links_lead_somewhere() -> None:
    """Every relative link in README.md names a file or folder of the repository."""
    targets = re.findall(r"\]\(([^)#]+)\)", README.read_text(encoding="utf-8"))
    assert [target for target in targets if not (README.parent / target).exists()] == []


def test_make_knows_the_two_commands() -> None:
    """The two commands that README.md begins with are targets of the Makefile, and run what they say."""
    for target, runs in {"up": "hutong up --port 8080 --data .hutong", "test": "-m pytest"}.items():
        printed = subprocess.run(
            ["make", "--no-print-directory", "-n", "-o", ".venv/.ready-run", "-o", ".venv/.ready-dev", target],
            cwd=README.parent,
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        ).stdout.replace('"', "")
        assert runs in printed
