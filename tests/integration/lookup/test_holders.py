"""Holders link documents and switch scopes among the regions of the directory, in one process and over a wire."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hutong.common.v1.subject_pb2 import Document, DocumentType, Subject
from hutong.lookup.v1.holder_service_pb2 import (
    BatchListLinkedDocumentsRequest,
    LinkDocumentsRequest,
    ListLinkedDocumentsRequest,
    SwitchScopeRequest,
    UnlinkDocumentsRequest,
    WatchHoldersRequest,
    WatchHoldersResponse,
)
from hutong.lookup.v1.region_directory_service_pb2 import GetRegionRequest, ListRegionsRequest
from hutong.lookup.v1.region_pb2 import Scope
from msgspec.structs import replace

from services.common.errors import Code, ServiceError
from services.common.instants import from_timestamp
from services.lookup.domain.holders import Link
from services.lookup.store.opening import open_store
from services.runtime.clock import system_clock
from services.runtime.rpc.call import enter, leave, within
from tests.testkit.servers.lookup_service import DECISION, PURPOSE, Start, key, lookup, mesh, person, settings
from tests.testkit.servers.postgres import PostgresServer

__all__ = ["lookup"]

LIAONING, BEIJING = "210000", "110000"


async def link(client: Any, one: int, other: int, /, **others: Any) -> list[bytes]:
    """Links two documents; the person's keys afterwards."""
    request: dict[str, Any] = {
        "subject": person(one),
        "other": person(other),
        "cause": "renewed",
        "purpose": DECISION,
    } | others
    return list((await client.LinkDocuments(LinkDocumentsRequest(**request))).person_keys)


async def unlink(client: Any, one: int, other: int, /, **others: Any) -> list[bytes]:
    """Undoes a link; the first document's keys afterwards."""
    request: dict[str, Any] = {
        "subject": person(one),
        "other": person(other),
        "cause": "mistake",
        "purpose": DECISION,
    } | others
    return list((await client.UnlinkDocuments(UnlinkDocumentsRequest(**request))).person_keys)


async def linked(client: Any, number: int) -> list[bytes]:
    """All keys of a person."""
    request = ListLinkedDocumentsRequest(subject=person(number), purpose=PURPOSE)
    return list((await client.ListLinkedDocuments(request)).person_keys)


def reasons(error: ServiceError) -> list[tuple[str, str]]:
    """The wrong fields of a refusal."""
    return [(violation.field, violation.reason) for violation in error.violations]


async def test_documents_are_linked_listed_and_unlinked(lookup: Start) -> None:
    """A person is not a document; links can be undone."""
    client = await lookup(mesh())
    assert await link(client, 2, 1) == [key(1), key(2)]
    assert await link(client, 1, 2) == [key(1), key(2)]
    assert await link(client, 3, 2) == [key(1), key(2), key(3)]
    assert await linked(client, 2) == [key(2), key(1), key(3)]
    assert await linked(client, 9) == [key(9)]
    batch = BatchListLinkedDocumentsRequest(subjects=[person(9), person(3), person(3)], purpose=PURPOSE)
    people = (await client.BatchListLinkedDocuments(batch)).people
    three = [key(3), key(1), key(2)]
    assert [list(one.person_keys) for one in people] == [[key(9)], three, three]
    assert await unlink(client, 2, 1) == [key(2), key(3)]
    assert await linked(client, 1) == [key(1)]


async def test_links_are_listed_in_pages(lookup: Start) -> None:
    """The key asked for on the first page, everyone once, and a token that is not of the list refused."""
    client = await lookup(mesh())
    for number in (1, 2, 4, 5):
        await link(client, 3, number)
    pages, token = [], ""
    while True:
        request = ListLinkedDocumentsRequest(subject=person(3), purpose=PURPOSE, page_size=2, page_token=token)
        page = await client.ListLinkedDocuments(request)
        pages.append(list(page.person_keys))
        token = page.next_page_token
        if not token:
            break
    assert pages == [[key(3), key(1)], [key(2), key(4)], [key(5)]]
    for wrong in ({"page_token": "x"}, {"page_size": -1}):
        with pytest.raises(ServiceError) as refused:
            await client.ListLinkedDocuments(ListLinkedDocumentsRequest(subject=person(3), purpose=PURPOSE, **wrong))
        assert refused.value.code is Code.INVALID_ARGUMENT


async def test_pages_of_one_go_on_from_the_key_asked_for(lookup: Start) -> None:
    """The smallest page there is tells everyone once too."""
    client = await lookup(mesh())
    await link(client, 3, 1)
    request = ListLinkedDocumentsRequest(subject=person(3), purpose=PURPOSE, page_size=1)
    first = await client.ListLinkedDocuments(request)
    request.page_token = first.next_page_token
    second = await client.ListLinkedDocuments(request)
    assert [*first.person_keys, *second.person_keys] == [key(3), key(1)]
    assert second.next_page_token == ""


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"other": person(1)}, ("other", "SAME_DOCUMENT")),
        ({"subject": Subject()}, ("subject", "SUBJECT_REQUIRED")),
        ({"other": Subject(person_key=b"x")}, ("other.person_key", "PERSON_KEY_LENGTH")),
        ({"cause": "  "}, ("cause", "CAUSE_REQUIRED")),
        ({"cause": "因" * 501}, ("cause", "CAUSE_TOO_LONG")),
        ({"request_id": "seven"}, ("request_id", "REQUEST_ID_FORMAT")),
        ({"purpose": 0}, ("purpose", "PURPOSE_REQUIRED")),
    ],
)
async def test_a_wrong_link_names_the_field(lookup: Start, wrong: dict[str, Any], expected: tuple[str, str]) -> None:
    """With a stable reason."""
    client = await lookup(mesh())
    for attempt in (link, unlink):
        with pytest.raises(ServiceError) as refused:
            await attempt(client, 1, 2, **wrong)
        assert reasons(refused.value) == [expected]


async def test_a_wrong_document_is_refused_without_repeating_it(lookup: Start) -> None:
    """The number is in no error."""
    client = await lookup(mesh())
    document = Document(type=DocumentType.DOCUMENT_TYPE_RESIDENT_ID, number="110101199001011234")
    with pytest.raises(ServiceError) as refused:
        await link(client, 1, 2, other=Subject(document=document))
    assert reasons(refused.value) == [("other.document.number", "DOCUMENT_NUMBER_CHECK")]
    assert document.number not in str(refused.value)


async def test_links_that_cannot_be_are_told_why(lookup: Start) -> None:
    """Too many documents, and links that are not there."""
    client = await lookup(mesh())
    for number in range(1, 16):
        await link(client, 0, number)
    with pytest.raises(ServiceError) as crowded:
        await link(client, 16, 3)
    assert (crowded.value.code, crowded.value.reason) == (Code.FAILED_PRECONDITION, "TOO_MANY_DOCUMENTS")
    with pytest.raises(ServiceError) as missing:
        await unlink(client, 1, 2)
    assert (missing.value.code, missing.value.reason) == (Code.NOT_FOUND, "LINK_NOT_FOUND")


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def server(request: pytest.FixtureRequest) -> PostgresServer | None:
    """The server of the backend under test; SQLite has none."""
    return None if request.param == "sqlite" else request.getfixturevalue("postgres_server")


@pytest.fixture
async def store(server: PostgresServer | None, tmp_path: Path) -> AsyncIterator[dict[str, Any]]:
    """The settings of a store on each kind of database."""
    if server is None:
        yield {"store_url": f"sqlite:///{tmp_path / 'lookup.db'}", "store_migrate": True}
        return
    url = await server.create_database()
    yield {"store_url": url, "store_migrate": True}
    await server.drop_database(url)


async def test_a_retried_unlink_succeeds_again(store: dict[str, Any], lookup: Start) -> None:
    """A caller whose answer was lost asks again with the same request id, in whatever letter case."""
    client = await lookup(mesh(), **store)
    request_id = str(uuid4())
    await link(client, 1, 2)
    assert await unlink(client, 1, 2, request_id=request_id) == [key(1)]
    assert await unlink(client, 1, 2, request_id=request_id.upper()) == [key(1)]


async def test_a_request_id_is_its_callers_and_its_users_own(store: dict[str, Any], lookup: Start) -> None:
    """Who chooses the id of another's request is answered as if nobody had, and the other's retry is still a retry."""
    client = await lookup(mesh(LIAONING), **store)
    request_id = str(uuid4())

    @contextmanager
    def asked_by(*users: str) -> Iterator[None]:
        entered = enter(replace(within(30.0), users=users))
        try:
            yield
        finally:
            leave(entered)

    one, two = (f"spiffe://hutong/holder/{number:032x}" for number in (1, 3))
    await link(client, 1, 2)
    await link(client, 3, 4)
    for users, holder, other in (((one,), 1, 2), ((two,), 3, 4)):
        with asked_by(*users):
            assert await unlink(client, holder, other, request_id=request_id) == [key(holder)]
            assert await unlink(client, holder, other, request_id=request_id) == [key(holder)]
            with pytest.raises(ServiceError) as reused:
                await link(client, holder, 9, request_id=request_id)
            assert reused.value.reason == "REQUEST_ID_REUSED"
    with asked_by(two):
        assert await link(client, 3, 5, request_id=str(uuid4())) == [key(3), key(5)]
    chosen = str(uuid4())
    for users, holder in (((one,), 1), ((two,), 3)):
        with asked_by(*users):
            switch = SwitchScopeRequest(
                subject=person(holder), region=LIAONING, scope=Scope.SCOPE_LOCAL, purpose=DECISION
            )
            switch.request_id = chosen
            for _ in range(2):
                await client.SwitchScope(switch)
            with pytest.raises(ServiceError) as reused:
                await unlink(client, holder, 9, request_id=chosen)
            assert reused.value.reason == "REQUEST_ID_REUSED"


@pytest.mark.parametrize(
    ("wrong", "code", "reason"),
    [
        ({"region": BEIJING}, Code.FAILED_PRECONDITION, "SCOPE_SWITCH_UNSUPPORTED"),
        ({"region": "999999"}, Code.INVALID_ARGUMENT, "REGION_UNKNOWN"),
        ({"scope": Scope.SCOPE_UNSPECIFIED}, Code.INVALID_ARGUMENT, "SCOPE_REQUIRED"),
    ],
)
async def test_a_switch_that_cannot_be_is_told_why(
    lookup: Start, wrong: dict[str, Any], code: Code, reason: str
) -> None:
    """Only some regions' codes have one."""
    client = await lookup(mesh())
    request: dict[str, Any] = {
        "subject": person(1),
        "region": LIAONING,
        "scope": Scope.SCOPE_LOCAL,
        "purpose": DECISION,
    } | wrong
    with pytest.raises(ServiceError) as refused:
        await client.SwitchScope(SwitchScopeRequest(**request))
    assert refused.value.code is code
    assert reason in (refused.value.reason, *(violation.reason for violation in refused.value.violations))


async def until_changes(stream: AsyncIterator[WatchHoldersResponse]) -> WatchHoldersResponse:
    """The next response that is more than a sign of life."""
    async with asyncio.timeout(5):
        async for response in stream:
            if response.changes:
                return response
    raise AssertionError("the stream ended")


async def test_a_watcher_is_told_at_once_whom_a_change_affects(lookup: Start) -> None:
    """In order, with the instant it was committed; a no-op is no news."""
    client = await lookup(mesh())
    await link(client, 1, 2)
    async with aclosing(client.WatchHolders(WatchHoldersRequest(sequence=0))) as stream:
        first = await until_changes(stream)
        assert [(change.sequence, list(change.person_keys)) for change in first.changes] == [(1, [key(1), key(2)])]
        assert abs(from_timestamp(first.changes[0].recorded_at) - time.time_ns() // 1000) < 60_000_000
        await link(client, 2, 1)
        waiting = asyncio.create_task(until_changes(stream))
        request = SwitchScopeRequest(subject=person(2), region=LIAONING, scope=Scope.SCOPE_LOCAL, purpose=DECISION)
        await client.SwitchScope(request)
        second = await waiting
        assert [(change.sequence, list(change.person_keys)) for change in second.changes] == [(2, [key(1), key(2)])]
        assert second.sequence == 2


async def test_a_watcher_sees_signs_of_life_and_where_it_stands(lookup: Start) -> None:
    """From now on: the past is left out; then an empty batch at least every second."""
    client = await lookup(mesh())
    await link(client, 1, 2)
    async with aclosing(client.WatchHolders(WatchHoldersRequest(sequence=-1))) as stream, asyncio.timeout(5):
        arrivals = []
        async for response in stream:
            arrivals.append(time.monotonic())
            assert (list(response.changes), response.sequence) == ([], 1)
            if len(arrivals) == 3:
                break
    gaps = [later - earlier for earlier, later in pairwise(arrivals)]
    assert max(gaps) < 1.2
    assert min(gaps) > 0.4


async def test_a_long_past_comes_in_batches(lookup: Start, tmp_path: Path) -> None:
    """Everything once and in order, however much there is, also what another connection wrote."""
    client = await lookup(mesh())
    store = open_store(settings(tmp_path), alone=False)
    for number in range(0, 1_100, 2):
        await store.commit(Link(key(number), key(number + 1), "test"), system_clock)
    seen: list[int] = []
    async with aclosing(client.WatchHolders(WatchHoldersRequest(sequence=10))) as stream:
        while len(seen) < 540:
            response = await until_changes(stream)
            seen.extend(change.sequence for change in response.changes)
        await store.commit(Link(key(5_000), key(5_001), "test"), system_clock)
        seen.extend(change.sequence for change in (await until_changes(stream)).changes)
    await store.close()
    assert seen == list(range(11, 552))


@pytest.mark.parametrize(
    ("sequence", "code", "reason"),
    [(-2, Code.INVALID_ARGUMENT, "SEQUENCE_RANGE"), (1, Code.FAILED_PRECONDITION, "FEED_REBUILT")],
)
async def test_a_position_that_cannot_be_is_refused(lookup: Start, sequence: int, code: Code, reason: str) -> None:
    """A follower of a store that was rebuilt must not wait in silence for numbers to come again."""
    client = await lookup(mesh())
    with pytest.raises(ServiceError) as refused:
        async for _ in client.WatchHolders(WatchHoldersRequest(sequence=sequence)):
            pass
    assert refused.value.code is code
    assert reason in (refused.value.reason, *(violation.reason for violation in refused.value.violations))


async def test_the_directory_is_listed_in_pages_and_by_code(lookup: Start) -> None:
    """All 34 divisions, ascending; who is on the mesh is marked."""
    client = await lookup(mesh(BEIJING, LIAONING))
    everything = await client.ListRegions(ListRegionsRequest())
    assert (len(everything.regions), everything.next_page_token) == (34, "")
    codes: list[str] = []
    token, pages = "", 0
    while pages == 0 or token:
        page = await client.ListRegions(ListRegionsRequest(page_size=17, page_token=token))
        codes.extend(region.region for region in page.regions)
        token, pages = page.next_page_token, pages + 1
    assert pages == 2
    assert codes == [region.region for region in everything.regions] == sorted(codes)
    assert [region.region for region in everything.regions if region.on_mesh] == [BEIJING, LIAONING]
    region = (await client.GetRegion(GetRegionRequest(region=BEIJING))).region
    assert (region.display_name.zh, region.health_code, region.on_mesh) == ("北京市", "北京健康宝", True)


@pytest.mark.parametrize(
    ("request_", "code", "reason"),
    [
        (GetRegionRequest(region="999999"), Code.NOT_FOUND, "REGION_UNKNOWN"),
        (GetRegionRequest(), Code.INVALID_ARGUMENT, "REGION_REQUIRED"),
        (ListRegionsRequest(page_token="x"), Code.INVALID_ARGUMENT, "PAGE_TOKEN"),
        (ListRegionsRequest(page_size=-1), Code.INVALID_ARGUMENT, "PAGE_SIZE"),
    ],
)
async def test_a_wrong_question_to_the_directory_is_told_why(
    lookup: Start, request_: GetRegionRequest | ListRegionsRequest, code: Code, reason: str
) -> None:
    """No such region is another answer than no region."""
    client = await lookup(mesh())
    method = client.GetRegion if isinstance(request_, GetRegionRequest) else client.ListRegions
    with pytest.raises(ServiceError) as refused:
        await method(request_)
    assert refused.value.code is code
    assert reason in (refused.value.reason, *(violation.reason for violation in refused.value.violations))
