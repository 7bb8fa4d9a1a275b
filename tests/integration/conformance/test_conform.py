"""`hutong conform`: the published cases pass against the sandbox, again and again, and fail on another answer."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
import pytest_asyncio

from cli.conformance.case_files import ROLES, Role, read_cases
from cli.conformance.json_values import differences
from cli.mesh import embedded
from cli.mesh.in_process import EmbeddedMesh
from tests.testkit.servers.hutong_up import run_cli

REGION = "430000"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedMesh]:
    """A mesh without anybody in it."""
    async with embedded(tmp_path_factory.mktemp("mesh")) as running:
        yield running


def arguments(mesh: EmbeddedMesh, role: str, transport: str) -> list[str]:
    """Returns what a tester writes to play a role."""
    store = mesh.grpc[REGION]
    target = {
        "region": store,
        "laboratory": store,
        "venue": mesh.http if transport == "http" else mesh.grpc["gateway"],
        "verifier": mesh.grpc["verdict"],
    }[role]
    return ["conform", target, "--as", role, "--region", REGION, *(["--records", store] if role == "venue" else [])]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("role", "transport"),
    [("region", "grpc"), ("laboratory", "grpc"), ("venue", "http"), ("venue", "grpc"), ("verifier", "grpc")],
)
async def test_the_sandbox_passes_again_and_again(mesh: EmbeddedMesh, role: Role, transport: str) -> None:
    """Every case of the role is played and passes, and passes once more against the same target."""
    cases = [case for case in read_cases(role).cases if transport in case.transports()]
    assert cases
    for _ in range(2):
        status, out, err = await run_cli(*arguments(mesh, role, transport))
        assert (0, "") == (status, err.replace(".", "").strip()), out + err
        assert [case.id for case in cases] == re.findall(r"^通过 pass  (\S+)", out, re.MULTILINE)


@pytest.mark.asyncio(loop_scope="module")
async def test_a_failure_is_reported_in_every_form(mesh: EmbeddedMesh, tmp_path: Path) -> None:
    """A store of another region keeps nothing of this one: cases fail, with the reason, and no number is told."""
    junit, report, key = tmp_path / "junit.xml", tmp_path / "report.json", tmp_path / "key.pem"
    status, out, _ = await run_cli(
        *("conform", mesh.grpc["110000"], "--as", "region", "--region", REGION),
        *("--junit", str(junit), "--json", str(report), "--key", str(key)),
    )
    assert status == 6
    assert "未过 FAIL  region.submit-and-again" in out
    assert "REGION_NOT_KEPT" in out
    suite = ElementTree.parse(junit).getroot()
    failed = [case.get("name") for case in suite.iter("testcase") if case.find("failure") is not None]
    assert failed == re.findall(r"^未过 FAIL  (\S+)", out, re.MULTILINE)
    assert suite.get("failures") == str(len(failed))
    outcomes = json.loads(report.read_text(encoding="utf-8"))["report"]["outcomes"]
    assert failed == [outcome["id"] for outcome in outcomes if outcome["outcome"] == "failed"]
    assert key.stat().st_mode & 0o077 == 0
    for text in (out, junit.read_text(encoding="utf-8"), report.read_text(encoding="utf-8")):
        assert not re.search(r"ZZ[0-9A-F]{14}", text)


@pytest.mark.asyncio(loop_scope="module")
async def test_a_report_is_believed_as_it_was_signed(mesh: EmbeddedMesh, tmp_path: Path) -> None:
    """Verified as it is; refused when an outcome, the key or anything beside it was changed."""
    report, key = tmp_path / "report.json", tmp_path / "key.pem"
    signed = (*arguments(mesh, "verifier", "grpc"), "--json", str(report), "--key", str(key))
    assert (await run_cli(*signed))[0] == 0
    whole = json.loads(report.read_text(encoding="utf-8"))
    status, out, _ = await run_cli("conform", "verify", str(report))
    assert (status, whole["public_key"] in out) == (0, True)
    forged = [
        whole | {"report": whole["report"] | {"target": "elsewhere:1"}},
        whole | {"report": whole["report"] | {"outcomes": whole["report"]["outcomes"][1:]}},
        whole | {"report": whole["report"] | {"approved": True}},
        whole | {"public_key": "A" * 43 + "="},
        whole | {"note": "approved"},
        {},
    ]
    for changed in forged:
        report.write_text(json.dumps(changed), encoding="utf-8")
        assert (await run_cli("conform", "verify", str(report)))[0] == 6, changed


@pytest.mark.asyncio(loop_scope="module")
async def test_nobody_there_is_a_failure(mesh: EmbeddedMesh) -> None:
    """A target that nobody answers at passes nothing."""
    status, out, _ = await run_cli("conform", "127.0.0.1:1", "--as", "verifier")
    assert (status, "通过 pass" in out) == (6, False)


@pytest.mark.asyncio(loop_scope="module")
async def test_a_venue_without_a_store_plays_what_it_can(mesh: EmbeddedMesh) -> None:
    """Cases whose people would have to be tested are said to be skipped."""
    status, out, _ = await run_cli("conform", mesh.http, "--as", "venue", "--region", REGION)
    assert status == 0
    assert re.findall(r"^未做 skip  (\S+)", out, re.MULTILINE) == ["venue.recognised", "venue.positive"]


@pytest.mark.parametrize("role", ROLES)
def test_cases_have_names_of_their_own(role: Role) -> None:
    """Each id stands once, and every case has a step that can fail."""
    cases = read_cases(role)
    assert cases.version >= 1
    ids = [case.id for case in cases.cases]
    assert len(ids) == len(set(ids))
    assert all(case.id.startswith(f"{role}.") and case.steps for case in cases.cases)


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        (1, 2),
        ("*", ""),
        (None, "x"),
        ([], [1]),
        ([1], []),
        ({"a": 1}, {}),
        ({"a": 1}, None),
        (True, 1),
        ("1", 1),
        ({}, 1),
    ],
)
def test_what_differs_is_told(expected: object, actual: object) -> None:
    """A value, a list's length, a missing field, another type."""
    assert list(differences(expected, actual))  # type: ignore[arg-type]  # JSON of any kind
