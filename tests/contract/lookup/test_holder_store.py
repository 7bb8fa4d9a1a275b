"""The holder store: one suite, every backend."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
from hutong.lookup.v1.region_pb2 import Scope
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.common.errors import AlreadyExists, FailedPrecondition, NotFound, Unavailable
from services.common.instants import Instant
from services.lookup.domain.holders import MOST_DOCUMENTS, Command, HolderEvent, Link, Person, Switch, Unlink
from services.lookup.domain.outages import NOTE_LIFETIME, OutageNote, SourceState
from services.lookup.settings import Settings
from services.lookup.store.opening import open_store
from services.lookup.store.postgres import store as postgres
from services.lookup.store.protocol import HolderStore
from services.lookup.store.sqlite import queries
from services.runtime.clock import system_clock
from tests.testkit.secret import SECRET
from tests.testkit.servers.postgres import PostgresServer

LOCAL, NATIONAL = Scope.SCOPE_LOCAL, Scope.SCOPE_NATIONAL
LIAONING, JILIN = "210000", "220000"
NOW = Instant(1_790_000_000_000_001)


def clock() -> Instant:
    """A clock that stands."""
    return NOW


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def server(request: pytest.FixtureRequest) -> PostgresServer | None:
    """The server of the backend under test; SQLite has none."""
    return None if request.param == "sqlite" else request.getfixturevalue("postgres_server")


@pytest.fixture
async def url(server: PostgresServer | None, tmp_path: Path) -> AsyncIterator[str]:
    """Returns the URL of a store that is yet to be made."""
    if server is None:
        yield f"sqlite:///{tmp_path / 'lookup.db'}"
        return
    made = await server.create_database()
    yield made
    await server.drop_database(made)


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[HolderStore]:
    """A store, closed afterwards."""
    store = open_store(Settings(mesh_secret=SECRET, store_url=url, store_migrate=True), alone=False)
    try:
        yield store
    finally:
        await store.close()


@pytest.fixture
async def store(url: str) -> AsyncIterator[HolderStore]:
    """An empty store."""
    async with opened(url) as store:
        yield store


def key(number: int) -> bytes:
    """A person key."""
    return number.to_bytes(16, "big")


async def link(store: HolderStore, one: int, other: int, request_id: str = "") -> bool:
    """Links two documents and says whether that changed anything."""
    return (await store.commit(Link(key(one), key(other), "passport renewed", request_id), clock)).changes


async def unlink(store: HolderStore, one: int, other: int, request_id: str = "") -> bool:
    """Undoes a link."""
    return (await store.commit(Unlink(key(one), key(other), "linked by mistake", request_id), clock)).changes


async def switch(store: HolderStore, number: int, region: str, scope: Scope.ValueType, request_id: str = "") -> bool:
    """Switches a holder's code and says whether that changed anything."""
    return (await store.commit(Switch(key(number), region, scope, request_id), clock)).changes


async def test_of_people_with_one_document_and_no_switch_nothing_is_told(store: HolderStore) -> None:
    """The common case costs nothing to carry."""
    await link(store, 1, 2)
    assert (await store.people([key(n) for n in range(10, 1_500)])).people == {}
    assert (await store.people([])).people == {}


async def test_linked_documents_are_found_from_each_of_them(store: HolderStore) -> None:
    """Directly or not; the key asked for first, the rest ascending; a thousand keys in one go."""
    for one, other in [(3, 1), (1, 700), (8, 9)]:
        assert await link(store, one, other)
    found = (await store.people([key(n) for n in range(1_000)])).people
    assert {k: person.keys for k, person in found.items()} == {
        key(1): (key(1), key(3), key(700)),
        key(3): (key(3), key(1), key(700)),
        key(700): (key(700), key(1), key(3)),
        key(8): (key(8), key(9)),
        key(9): (key(9), key(8)),
    }


async def test_linking_twice_is_once(store: HolderStore) -> None:
    """In either order; the log does not grow."""
    assert await link(store, 1, 2)
    assert not await link(store, 1, 2)
    assert not await link(store, 2, 1)
    assert await store.last() == 1


async def test_unlinking_undoes_exactly_one_link(store: HolderStore) -> None:
    """The others stand; what is not directly linked cannot be unlinked."""
    await link(store, 1, 2)
    await link(store, 2, 3)
    with pytest.raises(NotFound) as missing:
        await unlink(store, 1, 3)
    assert missing.value.reason == "LINK_NOT_FOUND"
    decision = await store.commit(Unlink(key(3), key(2), "mistake"), clock)
    assert decision.person == (key(3),)
    assert (await store.people([key(1), key(2), key(3)])).people == {
        key(1): Person((key(1), key(2)), {}),
        key(2): Person((key(2), key(1)), {}),
    }
    with pytest.raises(NotFound):
        await unlink(store, 3, 2)


async def test_a_seventeenth_document_is_refused_and_leaves_no_trace(store: HolderStore) -> None:
    """A refusal changes neither links nor log, and the store goes on working."""
    for number in range(MOST_DOCUMENTS - 1):
        await link(store, number, number + 1)
    with pytest.raises(FailedPrecondition) as refused:
        await link(store, 0, 99)
    assert refused.value.reason == "TOO_MANY_DOCUMENTS"
    assert await store.last() == MOST_DOCUMENTS - 1
    assert (await store.people([key(99)])).people == {}
    await unlink(store, 14, 15)
    assert await link(store, 0, 99)
    assert len((await store.people([key(99)])).people[key(99)].keys) == MOST_DOCUMENTS


async def test_the_newest_switch_applies_whichever_document_is_shown(store: HolderStore) -> None:
    """Per region; a document that was unlinked takes its own switches along."""
    await switch(store, 1, LIAONING, LOCAL)
    await switch(store, 2, JILIN, LOCAL)
    await link(store, 1, 2)
    both = {LIAONING: LOCAL, JILIN: LOCAL}
    found = (await store.people([key(1), key(2)])).people
    assert [dict(found[key(n)].scopes) for n in (1, 2)] == [both, both]
    assert await switch(store, 2, LIAONING, NATIONAL)
    assert not await switch(store, 2, LIAONING, NATIONAL)
    found = (await store.people([key(1), key(2)])).people
    assert [found[key(n)].scopes[LIAONING] for n in (1, 2)] == [NATIONAL, NATIONAL]
    await unlink(store, 1, 2)
    found = (await store.people([key(1), key(2)])).people
    assert dict(found[key(1)].scopes) == {LIAONING: LOCAL}
    assert dict(found[key(2)].scopes) == {LIAONING: NATIONAL, JILIN: LOCAL}


async def test_the_log_tells_in_order_whom_each_change_affects(store: HolderStore) -> None:
    """From 1 without gaps, each later than the one before though the clock stands; a link affects everyone it joins, an
    unlink everyone it parts."""
    await link(store, 2, 1)
    await link(store, 2, 3)
    await switch(store, 3, LIAONING, LOCAL)
    await unlink(store, 1, 2)
    three = (key(1), key(2), key(3))
    assert await store.changes(0, 10) == [
        HolderEvent(1, three[:2], NOW),
        HolderEvent(2, three, Instant(NOW + 1)),
        HolderEvent(3, three, Instant(NOW + 2)),
        HolderEvent(4, three, Instant(NOW + 3)),
    ]
    assert [event.sequence for event in await store.changes(1, 2)] == [2, 3]
    assert await store.changes(4, 10) == []


async def test_a_retry_gets_the_first_answer_even_when_late(store: HolderStore) -> None:
    """A request id that was served does nothing again, whatever happened since; for something else it is refused."""
    first, second, third = (str(uuid4()) for _ in range(3))
    await link(store, 1, 2, first)
    await unlink(store, 1, 2, second)
    assert not await unlink(store, 1, 2, second)
    assert not await link(store, 1, 2, first)
    await switch(store, 1, LIAONING, LOCAL, third)
    await switch(store, 1, LIAONING, NATIONAL)
    assert not await switch(store, 1, LIAONING, LOCAL, third)
    assert (await store.people([key(1), key(2)])).people == {key(1): Person((key(1),), {LIAONING: NATIONAL})}
    with pytest.raises(AlreadyExists) as reused:
        await link(store, 1, 3, third)
    assert reused.value.reason == "REQUEST_ID_REUSED"


async def test_everything_is_known_after_a_restart(url: str) -> None:
    """What was acknowledged is there for the next process."""
    async with opened(url) as store:
        await link(store, 1, 2)
        await switch(store, 2, LIAONING, LOCAL)
    async with opened(url) as store:
        assert (await store.people([key(1)])).people == {key(1): Person((key(1), key(2)), {LIAONING: LOCAL})}
        assert await store.last() == 2
        assert await link(store, 2, 3)
        assert await store.last() == 3


async def test_writers_at_once_take_effect_one_after_another(url: str) -> None:
    """Two instances that fill one person up together stop at sixteen documents, and no sequence is used twice."""
    async with opened(url) as one, opened(url) as two:
        await one.ping()
        outcomes = await asyncio.gather(
            *(link(store, 0, n + 100 * half) for half, store in enumerate((one, two)) for n in range(1, 13)),
            return_exceptions=True,
        )
        assert outcomes.count(True) == MOST_DOCUMENTS - 1
        refused = [outcome for outcome in outcomes if isinstance(outcome, FailedPrecondition)]
        assert len(refused) == 24 - (MOST_DOCUMENTS - 1)
        assert [event.sequence for event in await two.changes(0, 100)] == list(range(1, MOST_DOCUMENTS))


async def test_a_store_that_is_gone_is_unavailable(store: HolderStore) -> None:
    """No driver's error reaches the caller."""
    await store.ping()
    await store.close()
    for attempt in (
        store.people([key(1)]),
        store.people_known_at([(key(1), NOW)]),
        link(store, 1, 2),
        store.changes(0, 1),
        store.last(),
        store.note([OutageNote(NOW, "nation", "one", SourceState.DOWN)]),
        store.notes_at([NOW]),
        store.ping(),
    ):
        with pytest.raises(Unavailable) as failed:
            await attempt
        assert failed.value.reason == "STORE_UNAVAILABLE"


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5), st.integers(0, 5)).filter(lambda op: op[1] != op[2])))
async def test_people_agree_with_sets_of_links(store: HolderStore, operations: list[tuple[bool, int, int]]) -> None:
    """After any history, everyone's documents are those reachable over the links that stand."""
    # One store serves all examples: each has documents of its own.
    documents = sorted(uuid4().bytes for _ in range(6))
    model: set[frozenset[bytes]] = set()
    for linking, *pair in operations:
        one, other = (documents[n] for n in pair)
        if linking:
            await store.commit(Link(one, other, "test"), clock)
            model.add(frozenset((one, other)))
        elif frozenset((one, other)) in model:
            await store.commit(Unlink(one, other, "test"), clock)
            model.discard(frozenset((one, other)))
        else:
            with pytest.raises(NotFound):
                await store.commit(Unlink(one, other, "test"), clock)
    groups = [{document} for document in documents]
    for link_ in model:
        touched = [group for group in groups if group & link_]
        groups = [group for group in groups if not group & link_] + [set().union(*touched)]
    expected = {
        document: (document, *sorted(group - {document})) for group in groups if len(group) > 1 for document in group
    }
    assert {k: person.keys for k, person in (await store.people(documents)).people.items()} == expected


async def test_links_and_switches_are_known_from_their_commit(store: HolderStore) -> None:
    """Not before; and what was undone since still is as it was."""
    await link(store, 1, 2)
    await switch(store, 2, LIAONING, LOCAL)
    await switch(store, 1, LIAONING, NATIONAL)
    await unlink(store, 1, 2)
    keys = [key(n) for n in (1, 2, 3)]
    then = [await known_at(store, keys, Instant(NOW + tick)) for tick in range(-1, 4)]
    both = {key(1): (key(1), key(2)), key(2): (key(2), key(1))}
    alone = {key(1): (key(1),), key(2): (key(2),)}
    assert [{asked: person.keys for asked, person in known.items()} for known in then] == [{}, both, both, both, alone]
    assert [[dict(person.scopes) for person in known.values()] for known in then[2:4]] == [
        [{LIAONING: LOCAL}] * 2,
        [{LIAONING: NATIONAL}] * 2,
    ]
    assert {asked: dict(person.scopes) for asked, person in then[4].items()} == {
        key(1): {LIAONING: NATIONAL},
        key(2): {LIAONING: LOCAL},
    }
    assert then[4] == (await store.people(keys)).people


_OPERATIONS = st.lists(
    st.tuples(st.sampled_from(["link", "unlink", "switch"]), st.integers(0, 5), st.integers(0, 5)).filter(
        lambda op: op[1] != op[2]
    ),
    max_size=25,
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_OPERATIONS)
async def test_people_as_known_then_are_the_people_told_then(
    store: HolderStore, operations: list[tuple[str, int, int]]
) -> None:
    """After any history, at each of its instants."""
    documents = sorted(uuid4().bytes for _ in range(6))
    told = [await store.people(documents)]
    for action, one, other in operations:
        command: Command = Link(documents[one], documents[other], "test")
        if action == "unlink":
            command = Unlink(documents[one], documents[other], "test")
        elif action == "switch":
            command = Switch(documents[one], LIAONING, LOCAL if other % 2 else NATIONAL)
        with suppress(NotFound):
            await store.commit(command, clock)
        told.append(await store.people(documents))
    for people, latest in told:
        assert await known_at(store, documents, latest) == people


async def known_at(store: HolderStore, keys: list[bytes], at: Instant) -> dict[bytes, Person]:
    """The people behind these keys as known at one instant, by key."""
    people = await store.people_known_at([(key, at) for key in keys])
    assert {instant for _, instant in people} <= {at}
    return {key: person for (key, _), person in people.items()}


async def test_each_key_is_asked_about_at_its_own_instant(store: HolderStore) -> None:
    """Many instants in one question, one key at several of them."""
    await store.commit(Link(key(1), key(2), "same"), lambda: Instant(NOW))
    await store.commit(Unlink(key(1), key(2), "not the same"), lambda: Instant(NOW + 2))
    asked = [(key(n), Instant(NOW + tick)) for tick in range(-1, 4) for n in (1, 2, 3)]
    told = await store.people_known_at(asked)
    alone: dict[tuple[bytes, Instant], Person] = {}
    for one in asked:
        alone |= await store.people_known_at([one])
    assert told == alone
    assert {(key(n), Instant(NOW + tick)) for tick in (0, 1) for n in (1, 2)} == told.keys()


async def test_what_was_known_is_found_person_by_person(url: str) -> None:
    """However long the log of all the others is: each step to or from a person goes by an index."""
    async with opened(url) as store:
        await store.ping()
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as file:
            found = file.execute(f"explain query plan {queries.entries(2)}", (key(1), key(2), NOW, NOW))
            steps = [step for *_, step in found if "log" in step]
        assert steps
        assert not [step for step in steps if not step.startswith("SEARCH")]
        return
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(
            "insert into holder_log select n, 'link', int8send(2 * n), int8send(2 * n + 1), null, null, '', '', '{}', n"
            " from generate_series(1, 20000) as n"
        )
        await connection.execute("analyze holder_log")
        keys = [(2 * n).to_bytes(8, "big") for n in range(1, 50)]
        plan = "\n".join(
            row[0] for row in await connection.fetch(f"explain {postgres.ENTRIES}", keys, [NOW] * len(keys))
        )
    finally:
        await connection.close()
    assert plan.count("on holder_log") == plan.count("Index Cond") == 3, plan


async def test_what_is_being_committed_is_waited_for_or_comes_later(url: str) -> None:
    """A reader who says when he reads is told what will always be known of that instant, whatever is under way."""
    async with opened(url) as store:
        over = asyncio.Event()
        told: list[tuple[Instant, Mapping[bytes, Person]]] = []
        keys = [key(n) for n in range(4)]

        async def write(one: int) -> None:
            for _ in range(20):
                await store.commit(Link(key(one), key(one + 1), "test"), system_clock)
                await store.commit(Unlink(key(one), key(one + 1), "test"), system_clock)

        async def read() -> None:
            while not over.is_set():
                at = system_clock()
                await store.settle(at, system_clock())
                people, latest = await store.people(keys)
                if latest <= at:
                    told.append((at, people))
                await asyncio.sleep(0)

        reader = asyncio.ensure_future(read())
        await asyncio.gather(write(0), write(2))
        over.set()
        await reader
        assert len({len(people) for _, people in told}) > 1
        for at, people in told:
            assert await known_at(store, keys, at) == people


async def test_what_was_noted_of_sources_can_be_read_as_of_an_instant(store: HolderStore) -> None:
    """As long as it holds, in order, and twice is once; that questions were missed only for their own instant."""
    one = [
        OutageNote(NOW, "nation", "one", SourceState.DOWN),
        OutageNote(Instant(NOW + 5), "110000", "two", SourceState.MISSED),
        OutageNote(Instant(NOW + 9), "nation", "one", SourceState.UP),
    ]
    await store.note(one[1:])
    await store.note(one)
    assert (await store.notes_at([Instant(NOW - 1)]))[0] == []
    assert (await store.notes_at([Instant(NOW + 5)]))[0] == one[:2]
    assert (await store.notes_at([Instant(NOW + 8)]))[0] == one[:1]
    assert (await store.notes_at([Instant(NOW + 9)]))[0] == [one[0], one[2]]
    assert (await store.notes_at([Instant(NOW + NOTE_LIFETIME)]))[0] == one[2:]


async def test_an_sqlite_file_that_cannot_be_opened_is_unavailable(tmp_path: Path) -> None:
    """The process says so at its start."""
    (tmp_path / "lookup.db").mkdir()
    with pytest.raises(Unavailable) as failed:
        open_store(Settings(mesh_secret=SECRET, store_url=f"sqlite:///{tmp_path / 'lookup.db'}"))
    assert failed.value.reason == "STORE_UNAVAILABLE"


async def test_a_database_that_does_not_answer_is_unavailable() -> None:
    """The service starts all the same, unhealthy, and looks again at every call."""
    async with opened("postgresql://hutong@127.0.0.1:1/none") as store:
        with pytest.raises(Unavailable) as failed:
            await store.ping()
    assert failed.value.reason == "STORE_UNAVAILABLE"
