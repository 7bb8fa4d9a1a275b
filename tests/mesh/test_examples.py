"""The programs of examples/ do what their pages say, each in its language, against services that prove their names.

Python's always runs. The others run where EXAMPLES names them, as `.ci/run` does where their toolchain is:
they fetch libraries, and the first time that takes minutes. Whatever was not run is printed, with its reason.
"""

import asyncio
import os
import re
import shutil
import sys
import warnings
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from cli.mesh import processes
from cli.mesh.per_process import ProcessMesh
from tests.testkit.tools import ROOT, tool

pytestmark = [pytest.mark.mesh, pytest.mark.timeout(600)]

REGION = "430000"
SECONDS = 400.0
FETCHING = re.compile(
    r"ENOTFOUND|ETIMEDOUT|EAI_AGAIN|dial tcp|Missing:|Could not (transfer|resolve)|403 Forbidden|was not found in"
)


@dataclass(frozen=True)
class Example:
    """One language: what it needs, how it is built, how it is run."""

    needs: Sequence[str]
    build: Sequence[str]
    run: Sequence[str]
    dash: str = "--"
    together: str = ""


JAVA_PLUGIN = Path("/usr/bin/grpc_java_plugin")
EXAMPLES = {
    "python": Example((), ("{python}", "-c", ""), ("{python}", "region.py")),
    "node": Example(("node", "npm"), ("npm", "ci", "--no-audit", "--no-fund"), ("node", "region.mjs")),
    "typescript": Example(
        ("node", "npm"), ("sh", "-c", "npm ci --no-audit --no-fund && npm run build"), ("node", "build/region.js")
    ),
    "go": Example(
        ("go",),
        ("{buf}", "generate", "../../protos", "--template", "buf.gen.yaml"),
        ("go", "run", "./region"),
        dash="-",
    ),
    "java": Example(
        ("java", "mvn"),
        ("mvn", "-q", "-B", "compile", *((f"-DprotocPluginExecutable={JAVA_PLUGIN}",) if JAVA_PLUGIN.exists() else ())),
        ("mvn", "-q", "-B", "exec:java"),
        together="-Dexec.args=",
    ),
}

LINES = [
    r"submitted: revision 1",
    r"intake: the session stands at batch 0",
    r"intake: batch 1 is durable, 3 new records",
    r"intake: the session stands at batch 1",
    r"intake: batch 2 is durable, 3 new records",
    r"intake: batch 3 is durable, 3 new records",
    r"feed: 10 changes so far",
    r"verdict: (STATUS_)?RECOGNISED",
    r"amended: revision 2",
    r"refused: (FAILED_PRECONDITION|FailedPrecondition) REVISION_MISMATCH .*current_revision\W*[:=]\W*2\W*",
    r"retracted: revision 3",
    r"feed: 2 more since",
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ProcessMesh]:
    """A mesh whose services prove their names."""
    async with processes(tmp_path_factory.mktemp("examples"), samples=True, tls=True) as mesh:
        yield mesh


async def ended(command: Sequence[str], folder: Path) -> tuple[int, str]:
    """Runs a command to its end; returns its status, and what it printed."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "protos")},
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()
        return -1, "it took too long"
    return process.returncode or 0, output.decode()


def not_run(language: str, why: str) -> None:
    """Skips one language, and says so where it is seen."""
    warnings.warn(f"the example in {language} was not run: {why}", stacklevel=2)
    pytest.skip(why)


def wanted(language: str) -> bool:
    """Tells if a language's example is to be run."""
    named = os.environ.get("EXAMPLES", "").split(",")
    return language == "python" or language in named or "all" in named


def copied(language: str, top: Path) -> Path:
    """Copies an example and the contracts below a folder, as in a fresh clone; returns the example's folder."""
    folder = top / "examples" / language
    built = shutil.ignore_patterns("node_modules", "target", "build", "gen")
    shutil.copytree(ROOT / "examples" / language, folder, ignore=built)
    shutil.copytree(ROOT / "protos", top / "protos", ignore=shutil.ignore_patterns("__pycache__", "*_pb2*"))
    if language == "go":
        (folder / "gen").mkdir()
        shutil.copy(ROOT / "examples/go/gen/go.mod", folder / "gen")
    return folder


def checked(language: str) -> Example:
    """Returns an example that is to be run and can be; skips the test otherwise, and says so."""
    example = EXAMPLES[language]
    if not wanted(language):
        not_run(language, f"EXAMPLES={language} runs it")
    if absent := [name for name in example.needs if shutil.which(name) is None]:
        not_run(language, f"no {', '.join(absent)} on this machine")
    return example


async def built(language: str, folder: Path, command: Sequence[str]) -> None:
    """Builds an example; skips the test where its libraries cannot be fetched."""
    status, output = await ended(command, folder)
    if status and FETCHING.search(output):
        not_run(language, "its libraries cannot be fetched")
    assert (0, "") == (status, output if status else "")


@pytest.mark.parametrize("language", EXAMPLES)
@pytest.mark.asyncio(loop_scope="module")
async def test_the_example_does_what_its_page_says(mesh: ProcessMesh, language: str, tmp_path: Path) -> None:
    """Every step, with its own certificate, over a restart in the middle of intake and of the feed."""
    example = checked(language)
    folder = copied(language, tmp_path)
    programs = {"python": sys.executable, "buf": tool("buf")}
    await built(language, folder, [part.format(**programs) for part in example.build])
    given = {
        "records": mesh.grpc[REGION],
        "verdict": mesh.grpc["verdict"],
        "certificates": str(mesh.plan.data / "certificates"),
    }
    arguments = [part for name, value in given.items() for part in (example.dash + name, value)]
    if example.together:
        arguments = [example.together + " ".join(arguments)]
    status, output = await ended([*(part.format(**programs) for part in example.run), *arguments], folder)
    lines = [line for line in re.sub(r"\x1b\[[0-9;]*m", "", output).splitlines() if line]
    assert (0, len(LINES)) == (status, len(lines)), output
    for pattern, line in zip(LINES, lines, strict=True):
        assert re.fullmatch(pattern, line), output


@pytest.mark.asyncio(loop_scope="module")
async def test_a_region_of_its_own_making_conforms(tmp_path: Path) -> None:
    """The store in Go passes every check of a region that implements the contracts itself, its drain included."""
    checked("go")
    folder = copied("go", tmp_path)
    await built("go", folder, [part.format(buf=tool("buf")) for part in EXAMPLES["go"].build])
    await built("go", folder, ["go", "build", "-o", "region-store", "./store"])
    store = await asyncio.create_subprocess_exec(
        folder / "region-store", "-listen", "127.0.0.1:0", stdout=asyncio.subprocess.PIPE
    )
    try:
        assert store.stdout is not None
        address = (await asyncio.wait_for(store.stdout.readline(), 10)).decode().rsplit(maxsplit=1)[1]
        command = [sys.executable, "-m", "cli", "conform", address, "--implements", "region"]
        status, output = await ended([*command, "--drain-pid", str(store.pid)], ROOT)
        assert (0, True) == (status, "0 failed, 0 skipped" in output), output
        assert 0 == await asyncio.wait_for(store.wait(), 10)
    finally:
        if store.returncode is None:
            store.kill()
            await store.wait()
