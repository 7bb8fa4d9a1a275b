"""`hutong shadow` against a running mesh: the lines that differ, why, and the exit status."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from cli.exits import Exit
from cli.mesh import embedded, processes
from cli.mesh.endpoints import remove_endpoints, write_endpoints
from cli.samples.people import PEOPLE
from tests.testkit.tools import ROOT

pytestmark = [pytest.mark.mesh, pytest.mark.timeout(240)]

HUNAN = next(person for person in PEOPLE if person.key == "hunan")


def question(status: str, **answer: Any) -> str:
    """Returns a line about the sample person from Hunan, whose test Beijing recognises."""
    document = {"type": "RESIDENT_ID", "number": HUNAN.number}
    return json.dumps({"document": document, "answer": {"status": status, **answer}})


async def shadow(data: Path, lines: list[str], *options: str) -> tuple[int, str, str]:
    """Runs the command in a process of its own; returns its exit status, and what it printed and complained."""
    (data / "questions.jsonl").write_text("\n".join(lines))
    command = ("-m", "cli.main", "shadow", str(data / "questions.jsonl"), "--region", HUNAN.look, "--data", str(data))
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, *options, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


async def test_answers_are_compared(tmp_path: Path) -> None:
    """Two that agree, one that does not, one that the mesh refuses; no line shows the number of a document."""
    async with embedded(tmp_path, samples=True) as mesh:
        write_endpoints(mesh.endpoints, tmp_path)
        assert (Exit.OK, "") == (await shadow(tmp_path, [question("RECOGNISED", colour="GREEN")]))[::2]
        wrong = question("RECOGNISED").replace(HUNAN.number, HUNAN.number[:-1] + "X")
        lines = [question("RECOGNISED"), "", question("NOT_RECOGNISED"), wrong]
        status, out, err = await shadow(tmp_path, lines)
        assert (Exit.REFUSED, "") == (status, err)
        assert "line 3: DIFFERENT\n  status: 本地 own NOT_RECOGNISED, 互通网 mesh RECOGNISED\n    policy 110000-" in out
        assert "line 4: UNANSWERED" in out
        assert "3 questions: 1 the same, 1 different, 1 unanswered" in out
        assert HUNAN.number[:-1] not in out
        status, out, _ = await shadow(tmp_path, lines, "--json")
        assert [(1, "SAME"), (3, "DIFFERENT"), (4, "UNANSWERED")] == [
            (one["line"], one["agreement"]) for one in map(json.loads, out.splitlines())
        ]
        status, out, err = await shadow(tmp_path, [question("RECOGNISED"), question("PERHAPS")])
        assert (Exit.USAGE, "") == (status, out)
        assert "line 2: answer.status" in err
    remove_endpoints(tmp_path)
    assert Exit.UNREACHABLE == (await shadow(tmp_path, [question("RECOGNISED")]))[0]


async def test_the_regions_certificate_is_enough(tmp_path: Path) -> None:
    """Where services prove their names, the region's own system may ask."""
    async with processes(tmp_path, samples=True, tls=True) as mesh:
        write_endpoints(mesh.endpoints, tmp_path)
        assert (Exit.OK, "") == (await shadow(tmp_path, [question("RECOGNISED")]))[::2]
