"""The holder store: one suite, every backend."""

import asyncio
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.common.errors import AlreadyExists, FailedPrecondition, NotFound, Unavailable
from services.common.instants import Instant
from services.lookup.domain.holders import MOST_DOCUMENTS, HolderEvent, Link, Person, Unlink
from services.lookup.domain.members import ProvenMember
from services.lookup.store.protocol import HolderStore
from tests.testkit.servers.holder_store import (
    JILIN,
    LIAONING,
    LOCAL,
    NATIONAL,
    NOW,
    clock,
    key,
    link,
    opened,
    switch,
    unlink,
)


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

    async def refused(store: HolderStore, other: int) -> bool:
        # Whoever waits too long for his turn on a busy machine is told to ask again.
        request_id = str(uuid4())
        async with asyncio.timeout(60):
            while True:
                try:
                    await link(store, 0, other, request_id)
                except Unavailable:
                    await asyncio.sleep(0.1)
                except FailedPrecondition:
                    return True
                else:
                    return False

    async with opened(url) as one, opened(url) as two:
        outcomes = await asyncio.gather(
            *(refused(store, n + 100 * half) for half, store in enumerate((one, two)) for n in range(1, 13))
        )
        assert outcomes.count(False) == MOST_DOCUMENTS - 1
        assert [event.sequence for event in await two.changes(0, 100)] == list(range(1, MOST_DOCUMENTS))


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


async def test_the_list_that_was_proven_last_is_kept(store: HolderStore) -> None:
    """A later one takes the place of the former as a whole, also when two are proven at once."""
    assert not await store.proven_members()
    first = [ProvenMember("110000", "a", "feed"), ProvenMember("nation", "b", "")]
    await store.prove_members(first)
    assert first == list(await store.proven_members())
    others = [[ProvenMember("430000", "c", ""), ProvenMember("nation", entry, "")] for entry in ("d", "e")]
    await asyncio.gather(*(store.prove_members(members) for members in others))
    assert list(await store.proven_members()) in others
