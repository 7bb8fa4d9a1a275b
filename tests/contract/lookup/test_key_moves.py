"""A holder store's keys are moved to another version of the secret while it is served, on either engine: by a process
that began under the old version beside one that began under the new one."""

from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest
from hutong.common.v1.subject_pb2 import DocumentType

from services.common.documents import PersonKeys
from services.common.errors import Unavailable
from services.common.instants import Instant
from services.common.mesh_secret import parse_mesh_secret
from services.lookup.domain.holders import Link, Switch, Unlink
from services.lookup.settings import Settings
from services.lookup.store.keyed import KeyedHolderStore
from services.lookup.store.opening import open_checked_store
from services.lookup.store.protocol import HolderStore
from services.runtime.settings.environment import SettingsError
from services.runtime.settings.secret_file import SecretFile
from services.runtime.storage import key_moves
from services.runtime.storage.key_moves import KeyMover, KeyVersions
from tests.testkit.secret import SECRET
from tests.testkit.servers.holder_store import JILIN, LOCAL, NATIONAL, NOW, clock

NEXT = f"root: {SECRET}\n1: {SECRET}\n2: another version, long enough\ncurrent: 2\n"
DONE = f"root: {SECRET}\n2: another version, long enough\ncurrent: 2\n"
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


OLD, NEW = keys(SECRET), keys(NEXT)


def put(secret: Path, text: str) -> None:
    """Puts another file in the place of the secret's."""
    partial = secret.with_name("partial")
    partial.write_text(text)
    partial.replace(secret)


def process(store: HolderStore, secret: Path) -> KeyedHolderStore:
    """Returns the store as a process has it that begins now."""
    return KeyedHolderStore(store, KeyVersions(store, SecretFile(secret.read_text(), secret)))


@pytest.fixture
async def store(url: str) -> AsyncIterator[HolderStore]:
    """A store under the first version: six documents are one person's, whose code is switched; one was linked to them
    by mistake; the last is somebody else's, whose code is switched too."""
    store = await open_checked_store(Settings(mesh_secret=SECRET, store_url=url, store_migrate=True))
    for one, other in pairwise(OLD[:-1]):
        await store.commit(Link(one, other, "passport renewed"), clock)
    await store.commit(Unlink(OLD[-3], OLD[-2], "linked by mistake"), clock)
    await store.commit(Switch(OLD[0], JILIN, LOCAL), clock)
    await store.commit(Switch(OLD[-1], JILIN, LOCAL), clock)
    yield store
    await store.close()


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """The file of the secret, with the first version alone."""
    path = tmp_path / "mesh.secret"
    path.write_text(SECRET)
    return path


async def told(store: HolderStore, people: list[bytes]) -> Told:
    """Returns what the store tells under the keys of a process."""
    number = {key: place for place, key in enumerate(people)}
    now = (await store.people(people)).people
    # Every commit is at a later instant than the one before, by a clock that stands.
    then = await store.people_known_at([(key, Instant(NOW + 1_000)) for key in people])
    return Told(
        {number[key]: ({number[one] for one in found.keys}, dict(found.scopes)) for key, found in now.items()},
        {number[key]: ({number[one] for one in found.keys}, dict(found.scopes)) for (key, _), found in then.items()},
        [{number[one] for one in event.person_keys} for event in await store.changes(0, 100)],
    )


async def test_both_processes_tell_the_same_at_every_step(store: HolderStore, secret: Path) -> None:
    """What they told before, of documents, switches and the log, now and as known then; and then the old secret opens
    nothing."""
    first = process(store, secret)
    before = await told(first, OLD)
    assert before.now[0] == ({*range(PEOPLE - 2)}, {JILIN: LOCAL})
    put(secret, NEXT)
    second = process(store, secret)
    read = parse_mesh_secret(NEXT)
    await store.begin_key_move(read.fingerprint(), 2)
    assert "OTHER_SECRET" == await refused_to(process(store, of_one(secret, SECRET)))
    moves = PersonKeys(NEXT.encode())
    steps = 0
    while people := await store.older_people(2, 1):
        assert before == await told(first, OLD)
        assert before == await told(second, NEW)
        await store.move_keys({key: moves.under(2, key) for person in people for key in person})
        steps += 1
    assert 2 == steps
    assert "OTHER_SECRET" == await refused_to(process(store, of_one(secret, DONE)))
    assert await store.end_key_move(2)
    assert {True, False} == {(a < b) == (c < d) for (a, b), (c, d) in zip(pairwise(OLD), pairwise(NEW), strict=True)}
    put(secret, DONE)
    assert before == await told(first, OLD)
    assert before == await told(process(store, secret), NEW)
    assert not (await store.people(OLD)).people


def of_one(secret: Path, text: str) -> Path:
    """Returns a file of its own with a text."""
    other = secret.with_name("other.secret")
    other.write_text(text)
    return other


async def refused_to(store: HolderStore) -> str:
    """Returns the reason for which a process is refused people."""
    with pytest.raises(Unavailable) as caught:
        await store.people(OLD)
    return caught.value.reason


async def test_what_is_changed_meanwhile_is_whole(store: HolderStore, secret: Path) -> None:
    """Links between people under either version, made and undone by either process, and a switch that counts for all
    documents of a person."""
    first = process(store, secret)
    put(secret, NEXT)
    second = process(store, secret)
    await store.begin_key_move(parse_mesh_secret(NEXT).fingerprint(), 2)
    decision = await first.commit(Link(OLD[0], OLD[-1], "one person"), clock)
    joined = [*range(PEOPLE - 2), PEOPLE - 1]
    assert tuple(sorted(OLD[number] for number in joined)) == decision.person
    assert not (await second.commit(Link(NEW[-1], NEW[0], "one person"), clock)).changes
    assert (await second.commit(Switch(NEW[1], JILIN, NATIONAL), clock)).changes
    for process_, people in ((first, OLD), (second, NEW)):
        found = (await process_.people(people)).people
        assert {people[number] for number in joined} == set(found[people[3]].keys)
        assert people[3] == found[people[3]].keys[0]
        assert {NATIONAL} == {person.scopes[JILIN] for person in found.values()}
    assert (await second.commit(Unlink(NEW[-1], NEW[0], "not one"), clock)).changes
    assert {PEOPLE - 1} == {OLD.index(key) for key in (await first.people([OLD[-1]])).people[OLD[-1]].keys}


async def test_the_mover_moves_everybody(store: HolderStore, secret: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once the file names another version, and never back."""
    for name in ("SETTLE_SECONDS", "REST_SHARE"):
        monkeypatch.setattr(key_moves, name, 0.0)
    file = SecretFile(SECRET, secret)
    versions = KeyVersions(store, file)
    mover = KeyMover("lookup", versions, store, file)
    assert 0 == await mover.step()
    put(secret, NEXT)
    file.current(at_once=True)
    assert 2 == await mover.step()
    assert not versions.older
    put(secret, NEXT.replace("current: 2", "current: 1"))
    file.current(at_once=True)
    assert 0 == await mover.step()
    assert [parse_mesh_secret(NEXT).fingerprint()] == list(versions.older)
    assert (await KeyedHolderStore(store, versions).people([OLD[0]])).people


async def test_a_store_of_a_version_that_is_not_known_is_not_opened(url: str) -> None:
    """Nobody's links would be found."""
    store = await open_checked_store(Settings(mesh_secret=SECRET, store_url=url, store_migrate=True))
    await store.begin_key_move(parse_mesh_secret(NEXT).fingerprint(), 2)
    await store.close()
    with pytest.raises(SettingsError, match="another secret"):
        await open_checked_store(Settings(mesh_secret=SECRET, store_url=url))
