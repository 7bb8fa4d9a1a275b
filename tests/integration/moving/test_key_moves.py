"""A store's keys are moved to another version of the secret while it is served, on either engine, by a service that
began under the old version beside one that began under the new one."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
from hutong.common.v1.subject_pb2 import DocumentType, Purpose, Subject
from hutong.records.v1.conflict_service_pb2 import ListConflictsRequest
from hutong.records.v1.correction_service_pb2 import (
    CorrectionRequest,
    CorrectionRequestKind,
    ListHolderCorrectionRequestsRequest,
    RequestCorrectionRequest,
)
from hutong.records.v1.record_write_service_pb2 import SubmitOutcome

from services.common.documents import PersonKeys
from services.common.errors import ServiceError
from services.common.mesh_secret import MeshSecret, parse_mesh_secret
from services.records.settings import Settings
from services.records.store.opening import open_store
from services.records.store.protocols.record_store import RecordStore
from services.records.store.values.records import LATEST
from services.runtime.settings.environment import SettingsError
from services.runtime.settings.secret_file import SecretFile
from services.runtime.storage import key_moves
from services.runtime.storage.key_moves import KeyMover, KeyVersions
from tests.testkit.builders.records import KEEP, SHOW, result
from tests.testkit.clocks import ManualClock
from tests.testkit.secret import SECRET
from tests.testkit.servers.records_service import Records, all_changes, refused

BOTH = f"root: {SECRET}\n1: {SECRET}\n2: another version, long enough\ncurrent: 1\n"
NEXT = BOTH.replace("current: 1", "current: 2")
DONE = f"root: {SECRET}\n2: another version, long enough\ncurrent: 2\n"
PEOPLE = 6


def keys(text: str) -> list[bytes]:
    """Returns the keys of the test's people under the current version of a secret."""
    make = PersonKeys(text.encode()).of_number
    return [make(DocumentType.DOCUMENT_TYPE_PASSPORT, f"E1000000{number}") for number in range(PEOPLE)]


OLD, NEW = keys(SECRET), keys(NEXT)


class Told(NamedTuple):
    """The answers of a service, its people named by number: records of each, past revisions, conflicts, what each
    asked to have corrected, and the feed."""

    records: list[list[tuple[str, int]]]
    history: list[tuple[int, int]]
    conflicts: list[tuple[str, int]]
    corrections: list[list[str]]
    feed: list[tuple[str, int, int]]


async def told(records: Records, people: Sequence[bytes]) -> Told:
    """Asks a service about everybody under the keys that it makes."""
    number = {key: place for place, key in enumerate(people)}
    answer = await records.batch(list(people))
    conflicts = (await records.calls.ListConflicts(ListConflictsRequest(purpose=KEEP))).conflicts
    return Told(
        [[(one.source_id, one.revision) for one in person.records] for person in answer.people],
        [(one.revision, number[one.person_key]) for one in await records.history("S3")],
        [(one.source_id, number[one.person_key]) for one in conflicts],
        [[one.source_id for one in await asked_by(records, who)] for who in people],
        [
            (change.record.source_id, change.record.revision, number[change.record.person_key])
            for change in await all_changes(records)
        ],
    )


async def asked_by(records: Records, who: bytes) -> Sequence[CorrectionRequest]:
    """Returns what a person asked to have corrected."""
    asked = ListHolderCorrectionRequestsRequest(subjects=[Subject(person_key=who)], purpose=SHOW)
    return list((await records.calls.ListHolderCorrectionRequests(asked)).correction_requests)


async def ask(records: Records, source_id: str, who: bytes) -> bool:
    """Asks for a correction; returns whether that was new."""
    asked = RequestCorrectionRequest(
        region="430000",
        source_id=source_id,
        subjects=[Subject(person_key=who)],
        kind=CorrectionRequestKind.CORRECTION_REQUEST_KIND_WRONG_TIME,
        purpose=Purpose.PURPOSE_HOLDER_DECISION,
    )
    return bool((await records.calls.RequestCorrection(asked)).created)


@pytest.fixture
async def store(store_url: str, secret: Path) -> AsyncIterator[RecordStore]:
    """An empty store under the first version, whose new connections go by the file of the secret."""
    settings = Settings(region="430000", mesh_secret=SECRET, store_url=store_url, store_migrate=True)
    store = open_store(settings, SecretFile(SECRET, secret), alone=False)
    yield store
    await store.close()


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """The file of the secret, with the first version alone."""
    path = tmp_path / "mesh.secret"
    path.write_text(SECRET)
    return path


def put(secret: Path, text: str) -> None:
    """Puts another file in the place of the secret's."""
    partial = secret.with_name("partial")
    partial.write_text(text)
    partial.replace(secret)


async def filled(records: Records) -> None:
    """Makes records of all people but the last, with an amendment, a retraction and a conflict."""
    for who in range(PEOPLE - 1):
        await records.submit(f"S{who}", OLD[who], result(-9.0, -5.0))
    await records.retract("S3", 1)
    await records.amend("S2", 1, result(-9.0, -4.0))
    await refused(records.submit("S4", OLD[0], result(-9.0, -5.0)))
    assert await ask(records, "S0", OLD[0])


async def begin(store: RecordStore, text: str = NEXT) -> MeshSecret:
    """Begins to move a store to the current version of a secret."""
    read = parse_mesh_secret(text)
    await store.begin_key_move(read.fingerprint(), read.current)
    return read


async def test_both_services_tell_the_same_at_every_step(store: RecordStore, secret: Path):
    """What they told before; and what each writes meanwhile, the other has."""
    first = Records(store, ManualClock(), secret=SECRET, secret_file=str(secret))
    await filled(first)
    before = await told(first, OLD)
    put(secret, NEXT)
    second = Records(store, ManualClock(), secret=NEXT, secret_file=str(secret))
    assert before == await told(second, NEW)
    await begin(store)
    moves = PersonKeys(NEXT.encode())
    steps = 0
    while people := await store.older_people(2, 1):
        assert before == await told(first, OLD)
        assert before == await told(second, NEW)
        for service, who in ((first, OLD), (second, NEW)):
            again = await service.submit("S0", who[0], result(-9.0, -5.0))
            assert SubmitOutcome.SUBMIT_OUTCOME_UNCHANGED == again.outcome
            assert "RECORD_CONFLICT" == (await refused(service.submit("S4", who[0], result(-9.0, -5.0)))).reason
            assert not await ask(service, "S0", who[0])
        await store.move_keys({key: moves.under(2, key) for person in people for key in person})
        steps += 1
    # A conflict is about two people; those who were written about were moved by it.
    assert 3 <= steps <= PEOPLE
    assert await store.end_key_move(2)
    assert before == await told(first, OLD)
    assert before == await told(second, NEW)
    assert not (await store.key_state()).moving


async def test_what_is_written_meanwhile_stays_whole(store: RecordStore, secret: Path):
    """A person with tests under both versions has all of them, whoever asks, and each record goes on where it was."""
    first = Records(store, ManualClock(), secret=SECRET, secret_file=str(secret))
    await filled(first)
    put(secret, NEXT)
    second = Records(store, ManualClock(), secret=NEXT, secret_file=str(secret))
    await begin(store)
    assert "S5" == (await second.submit("S5", NEW[0], result(-8.0, -4.0))).record.source_id
    assert "S6" == (await first.submit("S6", OLD[0], result(-7.0, -3.0))).record.source_id
    assert 2 == (await second.amend("S1", 1, result(-9.0, -3.0))).revision
    assert 3 == (await first.amend("S1", 2, result(-9.0, -2.0))).revision
    for service, who in ((first, OLD), (second, NEW)):
        assert {"S0", "S5", "S6"} == {one.source_id for one in await service.of(who[0])}
        assert [3] == [one.revision for one in await service.of(who[1])]
        assert [1, 2, 3] == [one.revision for one in await service.history("S1")]
    assert not [key for (key,) in await store.older_people(2, 10) if key in OLD[:2]]


async def test_a_move_that_was_ended_goes_on(store: RecordStore, secret: Path, monkeypatch: pytest.MonkeyPatch):
    """Whoever comes next takes it up; then nobody is found under the old keys, and the old secret opens nothing."""
    for name in ("SETTLE_SECONDS", "REST_SHARE"):
        monkeypatch.setattr(key_moves, name, 0.0)
    monkeypatch.setattr(key_moves, "PEOPLE_AT_ONCE", 2)
    first = Records(store, ManualClock(), secret=SECRET, secret_file=str(secret))
    await filled(first)
    before = await told(first, OLD)
    put(secret, NEXT)
    await begin(store)
    (person,) = await store.older_people(2, 1)
    await store.move_keys({person[0]: PersonKeys(NEXT.encode()).under(2, person[0])})
    file = SecretFile(NEXT, secret)
    versions = KeyVersions(store, file)
    await versions.look()
    assert [parse_mesh_secret(SECRET).fingerprint()] == list(versions.older)
    assert PEOPLE - 2 <= await KeyMover("records-430000", versions, store, file).step()
    assert not versions.older
    put(secret, DONE)
    assert before == await told(first, OLD)
    assert before == await told(Records(store, ManualClock(), secret=DONE), NEW)
    assert not (await store.people(OLD, LATEST)).records
    left_behind = Records(store, ManualClock(), secret=SECRET)
    assert "OTHER_SECRET" == (await refused(left_behind.of(OLD[0]))).reason


async def test_whoever_lacks_the_new_version_is_refused(store: RecordStore, secret: Path):
    """A service that nobody gave it reads and writes nothing, from the first key that is moved."""
    unaware = Records(store, ManualClock(), secret=SECRET)
    await filled(unaware)
    assert 1 == len(await unaware.of(OLD[0]))
    put(secret, NEXT)
    await begin(store)
    assert "OTHER_SECRET" == (await refused(unaware.of(OLD[0]))).reason
    assert "OTHER_SECRET" == (await refused(unaware.submit("S9", OLD[0], result(-8.0, -4.0)))).reason


async def test_a_version_that_is_still_needed_is_missed(store: RecordStore, store_url: str, secret: Path):
    """Who starts without it, while keys of it are left, is refused: they would be nobody's."""
    await filled(Records(store, ManualClock(), secret=SECRET))
    put(secret, NEXT)
    await begin(store)
    too_early = Records(store, ManualClock(), secret=DONE)
    assert "OTHER_SECRET" == (await refused(too_early.of(NEW[0]))).reason
    await store.close()
    never = f"root: {SECRET}\n3: a third version, long enough\ncurrent: 3\n"
    with pytest.raises((SettingsError, ServiceError), match=r"another secret|not available"):
        await open_store(Settings(region="430000", mesh_secret=never, store_url=store_url), alone=False).head()


async def test_readers_beside_the_mover_miss_nobody(store: RecordStore, secret: Path, monkeypatch: pytest.MonkeyPatch):
    """However reads and moves meet, everybody has their records, in every answer."""
    for name in ("SETTLE_SECONDS", "REST_SHARE"):
        monkeypatch.setattr(key_moves, name, 0.0)
    monkeypatch.setattr(key_moves, "PEOPLE_AT_ONCE", 1)
    first = Records(store, ManualClock(), secret=SECRET, secret_file=str(secret))
    await filled(first)
    before = await told(first, OLD)
    put(secret, NEXT)
    second = Records(store, ManualClock(), secret=NEXT, secret_file=str(secret))
    file = SecretFile(NEXT, secret)
    moving = asyncio.create_task(KeyMover("records-430000", KeyVersions(store, file), store, file).step())
    asked = 0
    while not moving.done() or not asked:
        answers = await asyncio.gather(told(first, OLD), told(second, NEW))
        assert (before, before) == tuple(answers)
        asked += 1
    assert PEOPLE - 1 <= await moving
