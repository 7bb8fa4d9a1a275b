"""A store of push subscriptions keeps its promises, in each engine."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.push.store.opening import open_store
from gateway.push.store.protocol import MOST_DEVICES, PushStore
from gateway.push.store.values import Arrivals, Due, Subscription
from services.common.errors import ServiceError
from services.common.instants import Instant
from services.runtime.settings.environment import SettingsError

MESH = b"mesh 001"
RESULT, ENDING = KINDS = (1, 2)
NOW, LATER, MUCH_LATER = Instant(1_000), Instant(2_000), Instant(9_000)
PERSON, OTHER = b"p" * 16, b"o" * 16
NOBODY: frozenset[bytes] = frozenset()
NOTHING = Arrivals(NOBODY, NOBODY)


def subscription(number: int = 1, person: bytes = PERSON, at: Instant = NOW) -> Subscription:
    """Returns the subscription of a device."""
    name = number.to_bytes(16)
    return Subscription(
        name, name, person, f"https://push/{number}", b"k" * 65, b"a" * 16, "110000", 1, at, at, Instant(0)
    )


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[PushStore]:
    """An empty store."""
    opened = open_store(store_url, MESH, migrates=True)
    yield opened
    await opened.close()


async def claimed(store: PushStore, now: Instant = LATER, until: Instant = MUCH_LATER) -> list[Due]:
    """Claims what is due, in order."""
    return sorted(await store.claim(now, until, 100), key=lambda one: (one.subscription.subscription_id, one.kind))


async def arrive(store: PushStore, before: str, after: str, *persons: bytes) -> bool:
    """Takes in a result of each of these people."""
    keys = frozenset(persons)
    return await store.take("nation", before, after, Arrivals(keys, keys), KINDS, LATER, MUCH_LATER)


async def test_a_device_is_kept_once_for_each_person(store: PushStore) -> None:
    """Put again it is changed and keeps its name; of two people it is two; each has its code looked at."""
    assert await store.put(subscription(), [PERSON], ENDING)
    again = subscription(2, at=LATER)._replace(endpoint_digest=subscription().endpoint_digest, region="430000")
    assert not await store.put(again, [PERSON], ENDING)
    assert await store.put(subscription(3, OTHER)._replace(endpoint_digest=again.endpoint_digest), [OTHER], ENDING)
    due = await claimed(store)
    assert [(subscription().subscription_id, "430000", ENDING)] == [
        (one.subscription.subscription_id, one.subscription.region, one.kind)
        for one in due
        if one.subscription.person_key == PERSON
    ]
    assert [(NOW, LATER)] == [
        (one.subscription.created_at, one.subscription.renewed_at)
        for one in due
        if one.subscription.person_key == PERSON
    ]
    assert 2 == len(due)


async def test_what_is_forgotten_is_told_nothing(store: PushStore) -> None:
    """The store forgets a device for one person, or for all people when it is gone; twice is once."""
    device = subscription().endpoint_digest
    await store.put(subscription(), [PERSON], ENDING)
    await store.put(subscription(2, OTHER)._replace(endpoint_digest=device), [OTHER], ENDING)
    assert await store.delete(device, [PERSON])
    assert not await store.delete(device, [PERSON])
    assert [OTHER] == [one.subscription.person_key for one in await claimed(store)]
    await store.drop(device)
    assert await arrive(store, "", "f/1/", PERSON, OTHER)
    assert [] == await claimed(store, MUCH_LATER, Instant(MUCH_LATER + 1))


async def test_a_piece_of_the_feed_is_taken_once(store: PushStore) -> None:
    """However many gateways bring it: the cursor and what is to be told move together."""
    await store.put(subscription(), [PERSON], ENDING)
    await store.finish((await claimed(store))[0])
    assert await store.take("nation", "", "f/0/", NOTHING, KINDS, LATER, MUCH_LATER)
    taken = await asyncio.gather(*(arrive(store, "f/0/", "f/1/", PERSON, OTHER) for _ in range(4)))
    assert [False, False, False, True] == sorted(taken)
    assert "f/1/" == await store.cursor("nation")
    assert "" == await store.cursor("110000")
    assert [RESULT, ENDING] == [one.kind for one in await claimed(store)]


async def test_a_notice_is_claimed_by_one(store: PushStore) -> None:
    """Until its claim runs out; the one that is finished is not there any more, one that is postponed comes later."""
    for number in range(6):
        await store.put(subscription(number), [PERSON], ENDING)
    claims = await asyncio.gather(*(store.claim(LATER, MUCH_LATER, 100) for _ in range(3)))
    assert 6 == sum(map(len, claims))
    assert [] == await claimed(store)
    first, second, *others = [one for claim in claims for one in claim]
    await store.finish(first, Instant(77))
    await store.postpone(second, Instant(MUCH_LATER + 5), 3)
    again = await claimed(store, MUCH_LATER, Instant(MUCH_LATER + 1))
    assert {one.subscription for one in others} == {one.subscription for one in again}
    (last,) = [one for one in await claimed(store, Instant(MUCH_LATER + 5)) if one.attempts]
    assert (second.subscription, 3) == (last.subscription, last.attempts)
    await arrive(store, "", "f/1/", PERSON)
    told = {one.subscription.subscription_id: one.subscription.told_until for one in await claimed(store)}
    assert 77 == told[first.subscription.subscription_id]


async def test_news_that_comes_while_a_message_is_sent_is_told_too(store: PushStore) -> None:
    """Finishing the first takes the second away from nobody."""
    await store.put(subscription(), [PERSON], ENDING)
    (first,) = await claimed(store)
    await arrive(store, "", "f/1/", PERSON)
    await store.finish(first)
    await store.postpone(first, MUCH_LATER, 1)
    assert [(RESULT, 0), (ENDING, 0)] == [(one.kind, one.attempts) for one in await claimed(store)]


async def test_a_person_has_so_many_devices(store: PushStore) -> None:
    """Another takes the place of the one that was renewed least lately."""
    for number in range(MOST_DEVICES + 2):
        await store.put(subscription(number, at=Instant(NOW + number)), [PERSON], ENDING)
    kept = {one.subscription.endpoint for one in await claimed(store)}
    assert {f"https://push/{number}" for number in range(2, MOST_DEVICES + 2)} == kept


async def test_what_is_not_renewed_ends(store: PushStore) -> None:
    """With what it was to be told."""
    await store.put(subscription(1, at=NOW), [PERSON], ENDING)
    await store.put(subscription(2, at=LATER), [PERSON], ENDING)
    await store.purge(LATER)
    assert ["https://push/2"] == [one.subscription.endpoint for one in await claimed(store)]


async def test_keys_move_to_another_version(store: PushStore) -> None:
    """A few at a time; a person is found under the new key."""
    for number in range(3):
        await store.put(subscription(number), [PERSON], ENDING)
    after = b""
    while after := await store.move_keys(after, 2, lambda key: b"n" + key[1:]):
        pass
    moved = b"n" + PERSON[1:]
    assert {moved} == {one.subscription.person_key for one in await claimed(store)}
    assert not await store.put(subscription(9)._replace(endpoint_digest=(1).to_bytes(16)), [PERSON, moved], ENDING)


async def test_what_is_kept_survives_a_restart_and_is_one_meshs(store: PushStore, store_url: str) -> None:
    """A store of another secret is refused at once, or at the first use."""
    await store.put(subscription(), [PERSON], ENDING)
    await store.close()
    opened = open_store(store_url, MESH, migrates=False)
    assert [PERSON] == [one.subscription.person_key for one in await claimed(opened)]
    await opened.close()
    with pytest.raises((SettingsError, ServiceError)):
        await open_store(store_url, b"mesh 002", migrates=False).cursor("nation")
