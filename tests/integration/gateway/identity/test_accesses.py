"""A person is told who looked at its data."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import grpc
import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hutong.gateway.v1 import health_code_service_pb2 as pb
from hutong.gateway.v1.health_code_service_pb2_grpc import HealthCodeServiceStub
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.settings import GatewaySettings
from services.common.instants import Instant
from services.runtime.audit import latest as latest_module
from services.runtime.audit.entry import Entry, to_line
from services.runtime.audit.latest import latest
from services.runtime.audit.log import AuditLog
from services.runtime.audit.note import Signer
from services.runtime.audit.replicas import page_of
from tests.testkit.builders.tokens import HOLDER, Keys, issuers_file, jwks
from tests.testkit.fakes.mesh import DOCUMENT, NUMBER, PERSON, Mesh, record, serving
from tests.testkit.secret import SECRET
from tests.testkit.servers.gateway_clients import BODY, SHOW, document_message

SIGNER = Keys()
OTHER = {"type": "PASSPORT", "number": "E12345678"}
VENUE = {"role": "venue", "region": "110000", "sub": "south-station"}
ACCESSES = "/v1/accesses"
ONE, TWO = "aa" * 16, "bb" * 16


class Gateway:
    """A gateway that keeps a trail."""

    def __init__(self, http: httpx.AsyncClient, stub: Any) -> None:
        self.http = http
        self.stub = stub

    async def show(self, claims: dict[str, Any], purpose: str = "SHOW_CODE") -> int:
        """Asks for the code of the tests' document."""
        headers = {"authorization": f"Bearer {SIGNER.sign(claims)}", "hutong-purpose": purpose}
        return (await self.http.post(SHOW, json=BODY, headers=headers)).status_code

    async def accesses(self, claims: dict[str, Any], query: str = "") -> httpx.Response:
        """Asks who looked at the person of a token."""
        headers = {"authorization": f"Bearer {SIGNER.sign(claims)}"}
        return await self.http.get(ACCESSES + query, headers=headers)


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    """A gateway that keeps a trail, with one person who is known."""
    (tmp_path / "keys.json").write_bytes(jwks(SIGNER))
    asked = GatewaySettings(
        mesh_secret=SECRET,
        http_listen="127.0.0.1:0",
        issuers=str(issuers_file(tmp_path)),
        audit=str(tmp_path / "audit" / "gateway-0"),
        audit_trails=str(tmp_path / "audit"),
    )
    mesh = Mesh()
    mesh.records[PERSON].append(record())
    async with (
        serving(mesh, asked) as (http_port, grpc_port),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{http_port}") as http,
        grpc.aio.insecure_channel(f"127.0.0.1:{grpc_port}") as channel,
    ):
        yield Gateway(http, HealthCodeServiceStub(channel))


async def test_a_holder_is_told_who_looked_and_who_tried(gateway: Gateway) -> None:
    """Newest first: the supervisor, the stranger who was refused, the venue; of people the role alone, no number and no
    key."""
    assert 200 == await gateway.show({})
    assert 200 == await gateway.show(VENUE, "VENUE_CHECK")
    assert 403 == await gateway.show({"document": OTHER})
    assert 200 == await gateway.show({"role": "supervisor", "sub": "inspector"}, "SUPERVISION")
    reply = await gateway.accesses({})
    seen = [(one["caller"], one["method"], one["purpose"], one["outcome"]) for one in reply.json()["accesses"]]
    assert [
        ("supervisor/inspector", "ShowHealthCode", "SUPERVISION", "OK"),
        ("holder", "ShowHealthCode", None, "PERSON_DENIED"),
        ("region/110000/venue/south-station", "ShowHealthCode", "VENUE_CHECK", "OK"),
        ("holder", "ShowHealthCode", "SHOW_CODE", "OK"),
    ] == seen
    assert "no-store" == reply.headers["cache-control"]
    assert NUMBER not in reply.text
    assert PERSON.hex() not in reply.text
    # The stranger is told of nobody.
    assert [] == (await gateway.accesses({"document": OTHER})).json()["accesses"]


async def test_nobody_is_told_who_looked_at_another(gateway: Gateway) -> None:
    """A venue, a supervisor, nobody; and a document in the request is the caller's own or a dependant's."""
    for claims in (VENUE, {"role": "supervisor", "sub": "inspector"}):
        assert 403 == (await gateway.accesses(claims)).status_code
    assert 401 == (await gateway.http.get(ACCESSES)).status_code
    request = pb.ListAccessesRequest(document=document_message())
    tried: list[tuple[dict[str, Any], grpc.StatusCode]] = [
        ({"document": OTHER}, grpc.StatusCode.PERMISSION_DENIED),
        ({"role": "guardian", "document": OTHER, "dependants": [DOCUMENT]}, grpc.StatusCode.OK),
        (HOLDER, grpc.StatusCode.OK),
    ]
    for claims, code in tried:
        call = gateway.stub.ListAccesses(request, metadata=[("authorization", f"Bearer {SIGNER.sign(claims)}")])
        assert code == await call.code()


async def test_pages_go_on_where_the_one_before_ended(gateway: Gateway) -> None:
    """Also while lines are added; a page's token is of one person."""
    for _ in range(5):
        assert 200 == await gateway.show({})
    whole: list[str] = []
    token = ""
    while True:
        page = (await gateway.accesses({}, f"?pageSize=2&pageToken={token}")).json()
        whole += [one["traceId"] for one in page["accesses"] if one["method"] == "ShowHealthCode"]
        token = page["nextPageToken"]
        if not token:
            break
        assert 400 == (await gateway.accesses({"document": OTHER}, f"?pageToken={token}")).status_code
    assert 5 == len(whole) == len(set(whole))


async def test_what_other_replicas_answered_is_told_too(gateway: Gateway, tmp_path: Path) -> None:
    """Of one that has ended as well; and where one trail cannot be read nobody is given a short list."""
    assert 200 == await gateway.show({})
    other = tmp_path / "audit" / "gateway-1"
    await written(other, [(1, PERSON.hex()), (2, TWO)])
    accesses = (await gateway.accesses({})).json()["accesses"]
    assert ["holder", "other"] == [one["caller"] for one in accesses]
    assert "1970-01-01T08:00:00.000001+08:00" == accesses[1]["at"]
    (other / "000000000000.log").unlink()
    (other / "000000000000.log").mkdir()
    reply = await gateway.accesses({})
    assert 503 == reply.status_code
    assert "AUDIT_UNREADABLE" in reply.text


async def written(folder: Path, lines: Sequence[tuple[int, str]], segment_lines: int = 10) -> None:
    """Writes a trail: when each was answered, and whom it is about."""
    signer = Signer("hutong/test/1", Ed25519PrivateKey.generate())
    log = AuditLog(folder, signer, segment_lines=segment_lines)
    for at, person in lines:
        entry = Entry(at=Instant(at), caller="other", method="m", purpose="", outcome="OK", persons=(person,))
        await log.append(to_line(entry))
    await log.close()


@settings(max_examples=25, deadline=None)
@given(
    trails=st.lists(st.lists(st.tuples(st.integers(0, 30), st.sampled_from([ONE, TWO])), max_size=25), max_size=4),
    most=st.integers(1, 12),
    most_lines=st.sampled_from([3, 1_000]),
)
def test_pages_over_several_trails_have_each_line_once(
    trails: list[list[tuple[int, str]]], most: int, most_lines: int
) -> None:
    """Newest first, however many a page has; a trail that begins meanwhile waits for the next first page. Where a trail
    is read piece by piece, each page is newest first."""
    with TemporaryDirectory() as place, mock.patch.object(latest_module, "MOST_LINES", most_lines):
        folders = [Path(place) / f"gateway-{number}" for number in range(len(trails))]
        for folder, lines in zip(folders, trails, strict=True):
            asyncio.run(written(folder, sorted(lines), segment_lines=4))
        expected = sorted((at for lines in trails for at, person in lines if person == ONE), reverse=True)
        page = page_of(folders, [ONE], most)
        pages = [page]
        late = Path(place) / "late"
        asyncio.run(written(late, [(99, ONE)]))
        while page.places:
            page = page_of([*folders, late], [ONE], most, page.places)
            pages.append(page)
        instants = [[entry.at for entry in page.entries] for page in pages]
        assert all(len(one) <= most and one == sorted(one, reverse=True) for one in instants)
        told = [at for one in instants for at in one]
        assert expected == (told if most_lines == 1_000 else sorted(told, reverse=True))


async def test_the_newest_lines_come_from_as_few_segments_as_hold_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Numbers are those of the trail; one that is long is read piece by piece, and a line that is being written
    waits."""
    log = AuditLog(tmp_path, Signer("hutong/test/1", Ed25519PrivateKey.generate()), segment_lines=10)
    for number in range(45):
        persons = (ONE if number % 3 == 0 else TWO,)
        entry = Entry(at=Instant(number), caller="x", method="m", purpose="", outcome="OK", persons=persons)
        await log.append(to_line(entry))
    await log.close()
    expected = [number for number in range(44, -1, -1) if number % 3 == 0]
    page = latest(tmp_path, [ONE], most=4)
    assert expected[:4] == [number for number, _ in page.entries]
    assert expected[4:9] == [number for number, _ in latest(tmp_path, [ONE], most=5, before=page.before).entries]
    monkeypatch.setattr(latest_module, "MOST_LINES", 10)
    numbers: list[int] = []
    before, pages = None, 0
    while pages == 0 or before is not None:
        page = latest(tmp_path, [ONE], most=50, before=before)
        numbers += [number for number, _ in page.entries]
        before, pages = page.before, pages + 1
    assert (expected, True) == (numbers, pages > 2)
    with (tmp_path / "000000000040.log").open("ab") as file:
        file.write(b'{"at":1,"persons":["')
    assert expected[:1] == [number for number, _ in latest(tmp_path, [ONE], most=1).entries]
