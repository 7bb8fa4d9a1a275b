"""The holder store tells what was known then, over every backend."""

import asyncio
import sqlite3
from collections.abc import Mapping
from contextlib import closing, suppress
from uuid import uuid4

import asyncpg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.common.errors import NotFound
from services.common.instants import Instant
from services.lookup.domain.holders import Command, Link, Person, Switch, Unlink
from services.lookup.domain.outages import NOTE_LIFETIME, OutageNote, SourceState
from services.lookup.store.postgres import store as postgres
from services.lookup.store.protocol import HolderStore
from services.lookup.store.sqlite import queries
from services.runtime.clock import system_clock
from tests.testkit.servers.holder_store import LIAONING, LOCAL, NATIONAL, NOW, clock, key, link, opened, switch, unlink


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
    for people, latest, _ in told:
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
                # For a reader to come between, also where a store waits for nothing.
                await asyncio.sleep(0.002)
                await store.commit(Unlink(key(one), key(one + 1), "test"), system_clock)

        async def read() -> None:
            while not over.is_set():
                at = system_clock()
                await store.settle(at, system_clock())
                people, latest, _ = await store.people(keys)
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
