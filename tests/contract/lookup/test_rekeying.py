"""A holder store's keys are moved to another version of the secret, on either engine, all or none."""

from itertools import pairwise
from typing import NamedTuple

import pytest
from hutong.common.v1.subject_pb2 import DocumentType

from services.common.documents import PersonKeys
from services.common.errors import InvalidArgument
from services.common.instants import Instant
from services.common.mesh_secret import parse_mesh_secret
from services.lookup.domain.holders import Link, Switch, Unlink
from services.lookup.settings import Settings
from services.lookup.store.opening import open_checked_store
from services.lookup.store.protocol import HolderStore
from services.lookup.store.rekeying import REKEYING
from services.runtime.settings.environment import SettingsError
from services.runtime.storage.rekeying import rekey
from tests.testkit.secret import SECRET
from tests.testkit.servers.holder_store import JILIN, LOCAL, NOW, clock

NEXT = f"root: {SECRET}\n1: {SECRET}\n2: another version, long enough\ncurrent: 2\n"
UNKNOWN = "root: another root, long enough\n7: another version, long enough\ncurrent: 7\n"
PEOPLE = 8
"""So many that of the pairs of their keys some change their order with the version."""


class Told(NamedTuple):
    """The answers of a store about the test's people, each named by a number: the documents and switches of each now
    and as known at the end, and whom each entry of the log is about."""

    now: dict[int, tuple[set[int], dict[str, int]]]
    then: dict[int, tuple[set[int], dict[str, int]]]
    log: list[set[int]]


def keys(text: str) -> list[bytes]:
    """Returns the keys of the test's people under a secret."""
    make = PersonKeys(text.encode()).of_number
    return [make(DocumentType.DOCUMENT_TYPE_PASSPORT, f"E1000000{number}") for number in range(PEOPLE)]


async def opened(url: str, text: str) -> HolderStore:
    """Opens the store under a secret."""
    return await open_checked_store(Settings(mesh_secret=text, store_url=url, store_migrate=True))


async def filled(url: str) -> None:
    """Makes a store under the first version: all documents but the last are one person's, whose code is switched; the
    last was linked by mistake."""
    store = await opened(url, SECRET)
    people = keys(SECRET)
    try:
        for one, other in pairwise(people):
            await store.commit(Link(one, other, "passport renewed"), clock)
        await store.commit(Unlink(people[-2], people[-1], "linked by mistake"), clock)
        await store.commit(Switch(people[0], JILIN, LOCAL), clock)
    finally:
        await store.close()


async def told(url: str, text: str) -> Told:
    """Returns what the store tells under a secret."""
    people = keys(text)
    number = {key: place for place, key in enumerate(people)}
    store = await opened(url, text)
    try:
        now = (await store.people(people)).people
        # Every commit is at a later instant than the one before, by a clock that stands.
        then = await store.people_known_at([(key, Instant(NOW + 1_000)) for key in people])
        return Told(
            {number[key]: ({number[one] for one in found.keys}, dict(found.scopes)) for key, found in now.items()},
            {
                number[key]: ({number[one] for one in found.keys}, dict(found.scopes))
                for (key, _), found in then.items()
            },
            [{number[one] for one in event.person_keys} for event in await store.changes(0, 100)],
        )
    finally:
        await store.close()


async def test_every_holder_is_found_under_the_new_version(url: str) -> None:
    """With the same documents, switches and log, now and as known then; what was linked can be undone."""
    await filled(url)
    before = await told(url, SECRET)
    assert before.now[0] == ({*range(PEOPLE - 1)}, {JILIN: LOCAL})
    assert PEOPLE - 1 == len(before.now) == len(before.then)
    assert await rekey(REKEYING, url, NEXT, parse_mesh_secret(NEXT))
    assert before == await told(url, NEXT)
    old, new = keys(SECRET), keys(NEXT)
    assert {True, False} == {(a < b) == (c < d) for (a, b), (c, d) in zip(pairwise(old), pairwise(new), strict=True)}
    store = await opened(url, NEXT)
    try:
        for one, other in pairwise(new[:-1]):
            assert not (await store.commit(Link(other, one, "passport renewed"), clock)).changes
            assert (await store.commit(Unlink(one, other, "linked by mistake"), clock)).changes
        assert [new[0]] == list((await store.people(new)).people)
    finally:
        await store.close()


async def test_the_old_version_opens_it_no_longer(url: str) -> None:
    """A service that was left with it does not start."""
    await filled(url)
    await rekey(REKEYING, url, NEXT, parse_mesh_secret(NEXT))
    with pytest.raises(SettingsError, match="another secret"):
        await told(url, SECRET)


async def test_keys_that_cannot_be_opened_change_nothing(url: str) -> None:
    """Under a secret that lacks their version."""
    await filled(url)
    before = await told(url, SECRET)
    with pytest.raises(InvalidArgument):
        await rekey(REKEYING, url, UNKNOWN, parse_mesh_secret(UNKNOWN))
    assert before == await told(url, SECRET)
