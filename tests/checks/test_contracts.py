"""The contracts are clean, the stubs beside them are theirs, and they install alone."""

import asyncio
import filecmp
import importlib.metadata
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import grpc
import pytest
from google.protobuf.message import Message
from hutong.records.v1 import record_read_service_pb2 as read_pb

from services.runtime.rpc.server import Server
from tests.testkit.fakes.servicer import Servicer, bindings
from tests.testkit.needs import missing
from tests.testkit.tools import ROOT, passes, run, tool

PROTOS = ROOT / "protos"
BUILT = shutil.ignore_patterns("__pycache__", "build", "*.egg-info")
UNMADE = shutil.ignore_patterns("*_pb2*", "__pycache__", "build", "*.egg-info")


def generated(folder: Path) -> set[Path]:
    """The generated files below a folder."""
    return {path.relative_to(folder) for path in folder.rglob("*_pb2*.py*") if path.suffix in {".py", ".pyi"}}


def test_the_contracts_are_clean():
    """STANDARD rules of buf, and a comment on every field, as protos/buf.yaml says; needs no network."""
    passes(tool("buf"), "lint", PROTOS)


def test_the_lint_notices(tmp_path):
    """A field without a comment does not pass, so the check above is one."""
    copy = tmp_path / "protos"
    shutil.copytree(PROTOS, copy, ignore=UNMADE)
    contract = copy / "hutong" / "common" / "v1" / "text.proto"
    contract.write_text(contract.read_text().replace("  // English.\n", ""))
    assert 'Field "en" should have a non-empty comment' in run(tool("buf"), "lint", copy).stdout


def newest_release() -> Path:
    """Returns the contracts of the newest version that is kept."""
    return max(
        (PROTOS / "released").glob("*.binpb"), key=lambda path: tuple(int(part) for part in path.stem.split("."))
    )


def test_what_was_released_still_works():
    """No client of the newest released version loses a method, a field, a value, or the name of one."""
    passes(tool("buf"), "breaking", PROTOS, "--against", newest_release())


@pytest.mark.parametrize(
    ("written", "instead"),
    [
        ("  string en = 2;", "  string en = 3;"),
        ("  string en = 2;", "  bytes en = 2;"),
        ("  string en = 2;", "  string english = 2;"),
        ("  string en = 2;", ""),
    ],
    ids=["renumbered", "retyped", "renamed", "removed"],
)
def test_a_break_is_noticed(tmp_path, written, instead):
    """So the check above is one."""
    copy = tmp_path / "protos"
    shutil.copytree(PROTOS, copy, ignore=UNMADE)
    contract = copy / "hutong" / "common" / "v1" / "text.proto"
    text = contract.read_text()
    assert written in text
    contract.write_text(text.replace(written, instead))
    assert "text.proto" in run(tool("buf"), "breaking", copy, "--against", newest_release()).stdout


def test_the_stubs_are_those_of_the_contracts(tmp_path):
    """`make stubs` would change nothing: no file is stale, missing or left over."""
    copy = tmp_path / "protos"
    shutil.copytree(PROTOS, copy, ignore=UNMADE)
    passes(copy / "generate", cwd=copy, environ={"PYTHON": sys.executable})
    fresh, committed = generated(copy / "hutong"), generated(PROTOS / "hutong")
    stale = {path for path in fresh & committed if not same(copy / "hutong" / path, PROTOS / "hutong" / path)}
    assert (set(), set(), set()) == (stale, fresh - committed, committed - fresh)


def same(one: Path, other: Path) -> bool:
    """Tells if two files have the same bytes."""
    return filecmp.cmp(one, other, shallow=False)


CLIENT = """
import sys
import grpc
from hutong.common.v1.subject_pb2 import Document, DocumentType, Purpose, Subject
from hutong.records.v1 import record_read_service_pb2 as read, record_read_service_pb2_grpc as read_grpc
from hutong.records.v1 import record_write_service_pb2_grpc, change_feed_service_pb2_grpc
from hutong.lookup.v1 import evidence_service_pb2_grpc, holder_service_pb2_grpc, region_directory_service_pb2_grpc
from hutong.verdict.v1 import policy_service_pb2_grpc, verdict_service_pb2_grpc
from hutong.gateway.v1 import health_code_service_pb2_grpc

with grpc.insecure_channel(sys.argv[1]) as channel:
    passport = Document(type=DocumentType.DOCUMENT_TYPE_PASSPORT, number="E12345678")
    reply = read_grpc.RecordReadServiceStub(channel).ListRecords(
        read.ListRecordsRequest(subject=Subject(document=passport), purpose=Purpose.PURPOSE_REGIONAL_SERVICE),
        timeout=20, metadata=[("hutong-caller", "region-440000")],
    )
    print(reply.next_page_token)
"""


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with nothing in it but what `pip install ./protos` brought."""
    folder = tmp_path_factory.mktemp("bare")
    copy = folder / "protos"
    shutil.copytree(PROTOS, copy, ignore=BUILT)
    venv.create(folder / "venv", with_pip=False)
    python = folder / "venv" / "bin" / "python"
    install: list[str | Path] = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        python,
        "install",
        "-qq",
        "--no-warn-script-location",
        copy,
    ]
    # A pip that sees another index, or none, must see it here too: the environment is inherited, PYTHONPATH is not.
    done = run(*install, cwd=folder, environ={"PYTHONPATH": ""})
    if done.returncode != 0:
        reached = subprocess.run(
            [sys.executable, "-m", "pip", "download", "-qq", "--no-deps", "-d", folder / "reach", "protobuf"],
            check=False, capture_output=True, timeout=300,
        )  # fmt: skip
        if reached.returncode != 0:
            missing("no package index can be reached")
        pytest.fail(f"pip install ./protos failed:\n{done.stdout}", pytrace=False)
    return python


def test_the_stubs_bring_grpcio_and_protobuf_and_nothing_else(bare):
    """typing_extensions is grpcio's own."""
    listing = "import importlib.metadata as m; print(*sorted(d.metadata['Name'].lower() for d in m.distributions()))"
    names = set(passes(bare, "-c", listing, cwd=bare.parent, environ={"PYTHONPATH": ""}).split())
    assert {"grpcio", "hutong-stubs", "protobuf", "typing_extensions"} == names


def test_installing_the_stubs_leaves_nothing_behind(bare):
    """What is left beside the contracts would be found by `buf generate`, or by whoever loads every .proto."""
    folder = bare.parents[2] / "protos"
    assert {path.name for path in PROTOS.iterdir() if not BUILT(str(PROTOS), [path.name])} == {
        path.name for path in folder.iterdir()
    }


async def test_a_region_calls_a_server_with_the_stubs_alone(bare, tmp_path):
    """A script in the bare environment, over a wire, to a real server."""
    asked: list[str] = []

    async def list_records(request: Message) -> read_pb.ListRecordsResponse:
        assert isinstance(request, read_pb.ListRecordsRequest)
        asked.append(request.subject.document.number)
        return read_pb.ListRecordsResponse(next_page_token="from the mesh")

    server = Server("records", bindings(Servicer(list_records)))
    port = await server.start("127.0.0.1:0")
    script = tmp_path / "region.py"
    script.write_text(CLIENT)
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    client = await asyncio.create_subprocess_exec(
        bare, script, f"127.0.0.1:{port}", cwd=tmp_path, env=environ,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await asyncio.wait_for(client.communicate(), 60)
    await server.drain(0, 0)
    assert (0, "from the mesh\n", ["E12345678"]) == (client.returncode, said.decode(), asked)


def test_grpc_is_that_of_the_stubs():
    """The stubs refuse to import below their generator's version; this environment has exactly that one."""
    assert importlib.metadata.version("grpcio-tools") == grpc.__version__
