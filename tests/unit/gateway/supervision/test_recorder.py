"""Supervision counts and keeps what it should of codes that are shown."""

from collections.abc import Callable, Sequence

import pytest
from hutong.common.v1.subject_pb2 import DocumentType, Purpose
from hutong.gateway.v1.health_code_service_pb2 import Freshness, ShowHealthCodeResponse
from hutong.lookup.v1.evidence_service_pb2 import SourceCoverage, SourceStatus
from hutong.records.v1.record_pb2 import Origin, RecordContent, TestRecord
from hutong.verdict.v1.scene_pb2 import Scene
from hutong.verdict.v1.verdict_pb2 import (
    EvidenceRef,
    Ground,
    NoticeOutcome,
    PolicyRef,
    Reason,
    ReasonCount,
    Status,
    Verdict,
)

from gateway.codes.codes import Shown
from gateway.codes.query import CodeQuery
from gateway.metrics import Outcome
from gateway.supervision import recorder as recorder_module
from gateway.supervision.outcomes import Measure, foreign_test, measure_of
from gateway.supervision.recorder import Recorder
from gateway.supervision.store.values import Cell, KeptRefusal, Mark, Place
from services.common.documents import PersonKeys
from services.common.errors import Unavailable
from services.common.instants import DAY, SECOND, Instant, calendar_day, to_timestamp
from services.common.mesh_secret import MeshSecret, mesh_secret_text, parse_mesh_secret
from services.runtime.settings.secret_file import SecretFile
from tests.testkit.builders.cache_entries import entry
from tests.testkit.clocks import ManualClock
from tests.testkit.secret import SECRET

SHOW = Purpose.PURPOSE_SHOW_CODE
PASSPORT = DocumentType.DOCUMENT_TYPE_PASSPORT
FILE = SecretFile(SECRET)
STATUSES = {
    (Status.STATUS_RECOGNISED, 0): Measure.RECOGNISED,
    (Status.STATUS_RECOGNISED, NoticeOutcome.NOTICE_OUTCOME_ENFORCED): Measure.RECOGNISED_BY_NOTICE,
    (Status.STATUS_NOT_RECOGNISED, 0): Measure.REFUSED,
    (Status.STATUS_NOT_RECOGNISED, NoticeOutcome.NOTICE_OUTCOME_REFUSAL): Measure.REFUSED_AGAINST_NOTICE,
    (Status.STATUS_PENDING, NoticeOutcome.NOTICE_OUTCOME_REFUSAL): Measure.REFUSED_AGAINST_NOTICE,
    (Status.STATUS_UNDETERMINED, NoticeOutcome.NOTICE_OUTCOME_REFUSAL): Measure.REFUSED_AGAINST_NOTICE,
    (Status.STATUS_UNDETERMINED, 0): Measure.UNDETERMINED,
    (Status.STATUS_PENDING, 0): None,
    (Status.STATUS_POSITIVE, 0): None,
    (Status.STATUS_RETEST_REQUIRED, 0): None,
    (Status.STATUS_NOT_REQUIRED, 0): None,
}


class Store:
    """Keeps what it is given, unless it is down."""

    def __init__(self) -> None:
        self.marks: dict[bytes, Mark] = {}
        self.refused: dict[bytes, KeptRefusal] = {}
        self.writes = 0
        self.down = False

    async def add(self, marks: Sequence[Mark], refusals: Sequence[KeptRefusal]) -> None:
        """See SupervisionStore."""
        if self.down:
            raise Unavailable("STORE_UNAVAILABLE", "不可用", "not available")
        self.writes += 1
        self.marks.update({one.mark: one for one in marks})
        self.refused.update({one.refusal_id: one for one in refusals})

    async def figures(self, region: str, first: int, last: int, after: Place, most: int) -> Sequence[Cell]:
        """See SupervisionStore."""
        return []

    async def refusals(
        self, region: str, first: int, last: int, before: tuple[Instant, bytes], most: int
    ) -> Sequence[KeptRefusal]:
        """See SupervisionStore."""
        return list(self.refused.values())

    async def refusal(self, refusal_id: bytes) -> KeptRefusal | None:
        """See SupervisionStore."""
        return self.refused.get(refusal_id)

    async def purge(self, marks_before: int, refusals_before: int) -> None:
        """See SupervisionStore."""

    async def move_keys(self, after: bytes, most: int, new: Callable[[bytes], bytes]) -> bytes:
        """See SupervisionStore."""
        page = sorted(one for one in self.refused if one > after)[:most]
        for one in page:
            self.refused[one] = self.refused[one]._replace(person_key=new(self.refused[one].person_key))
        return page[-1] if page else b""

    async def close(self) -> None:
        """See SupervisionStore."""


@pytest.fixture
def store() -> Store:
    """A store."""
    return Store()


@pytest.fixture
def clock() -> ManualClock:
    """A clock."""
    return ManualClock()


@pytest.fixture
def recorder(store: Store, clock: ManualClock) -> Recorder:
    """A recorder over both."""
    return Recorder(store, b"a secret of the tests", FILE, clock, days=180)


def verdict(status: Status.ValueType = Status.STATUS_NOT_RECOGNISED, *, at: Instant, **more: object) -> Verdict:
    """Returns a verdict of Beijing."""
    return Verdict(
        region="110000",
        scope=2,  # type: ignore[arg-type]  # NATIONAL
        status=status,
        at=to_timestamp(at),
        computed_at=to_timestamp(at),
        policy=PolicyRef(policy_id="P1", content_hash=b"h" * 32, effective_from=to_timestamp(at)),
        **more,  # type: ignore[arg-type]  # fields of the message
    )


def shown(one: Verdict, computed_at: Instant | None = None) -> Shown:
    """Returns a code as it is shown, from the cache when it was computed before."""
    at = computed_at or Instant(one.computed_at.seconds * SECOND)
    kept = entry()
    message = ShowHealthCodeResponse(verdict=one).SerializeToString()
    fields = {name: getattr(kept, name) for name in kept.__struct_fields__}
    return Shown(
        type(kept)(**{**fields, "message": message, "computed_at": at, "status": one.status}),
        Freshness.FRESHNESS_CACHED,
        Outcome.HIT,
    )


def question(person: int = 1, scene: Scene.ValueType = Scene.SCENE_UNSPECIFIED) -> CodeQuery:
    """Returns a question about somebody in Beijing."""
    return CodeQuery(person.to_bytes(16), "110000", scene=scene)


def test_every_status_counts_as_what_it_is() -> None:
    """What is neither recognised nor refused counts for nothing, unless the notice binds."""
    for (status, notice), measure in STATUSES.items():
        one = Verdict(status=status, notice=notice)  # type: ignore[arg-type]  # from the enum
        assert measure == measure_of(one), (status, notice)
    assert {status for status, _ in STATUSES} == set(Status.values()) - {0}


def test_a_test_is_from_elsewhere_when_none_it_rests_on_was_taken_here() -> None:
    """A copy counts by its origin."""
    here, there = EvidenceRef(region="110000", source_id="a"), EvidenceRef(region="430000", source_id="b")

    def resting(*evidence: EvidenceRef, **more: object) -> Verdict:
        grounds = [Ground(clause="c", evidence=evidence)]
        return Verdict(region="110000", status=Status.STATUS_RECOGNISED, grounds=grounds, **more)  # type: ignore[arg-type]

    assert there == foreign_test(resting(there))
    assert foreign_test(resting(here)) is None
    assert foreign_test(resting(here, there)) is None
    assert foreign_test(resting()) is None
    copied = TestRecord(region="110000", source_id="a", content=RecordContent(origin=Origin(region="430000")))
    assert here == foreign_test(resting(here, newest_test=copied))
    refused = resting(there)
    refused.status = Status.STATUS_NOT_RECOGNISED
    assert foreign_test(refused) is None


async def test_one_person_at_one_place_is_counted_once_a_day(
    recorder: Recorder, store: Store, clock: ManualClock
) -> None:
    """From the cache, computed again, by another process that shares the store; the next day is another."""
    one = verdict(at=clock.now)
    for _ in range(10):
        recorder.record(question(), shown(one), SHOW)
        clock.forward(6)
    later = verdict(at=clock.now)
    recorder.record(question(), shown(later), SHOW)
    await recorder.flush()
    other = Recorder(store, b"a secret of the tests", FILE, clock, days=180)
    other.record(question(), shown(later), SHOW)
    await other.flush()
    assert (1, 1) == (len(store.marks), len(store.refused))
    (kept,) = store.refused.values()
    assert (question().person, "110000", 0, Status.STATUS_NOT_RECOGNISED) == (
        kept.person_key,
        kept.region,
        kept.scene,
        kept.status,
    )
    recorder.record(question(scene=Scene.SCENE_HOTEL), shown(one), SHOW)
    recorder.record(question(2), shown(one), SHOW)
    clock.forward(DAY / SECOND)
    recorder.record(question(), shown(one), SHOW)
    await recorder.flush()
    assert (4, 4) == (len(store.marks), len(store.refused))
    assert {calendar_day(clock.now) - 1, calendar_day(clock.now)} == {mark.day for mark in store.marks.values()}


async def test_refusals_go_over_to_the_current_version_of_the_secret(store: Store, clock: ManualClock) -> None:
    """Those that are kept, and those that come meanwhile; what nobody can open stays."""
    file = SecretFile(SECRET)
    keys = file.keys
    first = parse_mesh_secret(SECRET)
    both = MeshSecret(first.root, {**first.versions, 2: b"another secret, as long as the first"}, 1)
    recorder = Recorder(store, b"a secret of the tests", file, clock, days=180)
    people = [keys.of_number(PASSPORT, f"E1000000{number}") for number in range(3)]

    async def refuse(person: bytes) -> None:
        recorder.record(CodeQuery(person, "110000"), shown(verdict(at=clock.now)), SHOW)
        await recorder.flush()

    await refuse(people[0])
    ((refusal_id, kept),) = store.refused.items()
    lost = b"\x09" * 16
    store.refused[b"\xff" * 16] = kept._replace(refusal_id=b"\xff" * 16, person_key=lost)
    for secret in (both, both.with_current(2)):
        keys.renew(secret)
        await recorder.move_keys()
        await recorder.move_keys()
        await refuse(people[secret.current])
    new = PersonKeys(mesh_secret_text(both.with_current(2)).encode())
    expected = [new.of_number(PASSPORT, f"E1000000{number}") for number in range(3)]
    assert sorted([*expected, lost]) == sorted(one.person_key for one in store.refused.values())
    assert expected[0] == store.refused[refusal_id].person_key


async def test_another_reason_is_another_refusal_and_the_same_person(
    recorder: Recorder, store: Store, clock: ManualClock
) -> None:
    """Refused for want of a test, then with one: both can be opened again."""
    for code in ("NO_EVIDENCE", "WINDOW_EXPIRED"):
        clock.forward(1)
        one = verdict(at=clock.now, reasons=[Reason(code=code)], further_reasons=[ReasonCount(code=code, count=2)])
        recorder.record(question(), shown(one), SHOW)
    await recorder.flush()
    assert 1 == len(store.marks)
    assert {"NO_EVIDENCE", "WINDOW_EXPIRED"} == {one.reasons for one in store.refused.values()}


async def test_a_source_that_was_silent_is_noted(recorder: Recorder, store: Store, clock: ManualClock) -> None:
    """What could not be told then may be told when it is opened again: the note says why."""
    coverage = [
        SourceCoverage(source="nation", status=SourceStatus.SOURCE_STATUS_OK),
        SourceCoverage(source="430000", status=SourceStatus.SOURCE_STATUS_UNREACHABLE),
    ]
    one = verdict(Status.STATUS_UNDETERMINED, at=clock.now, coverage=coverage)
    recorder.record(question(), shown(one), SHOW)
    await recorder.flush()
    assert ["430000"] == [kept.silent for kept in store.refused.values()]
    assert [Measure.UNDETERMINED] == [mark.measure for mark in store.marks.values()]


async def test_a_test_is_avoided_once_in_a_region(recorder: Recorder, store: Store, clock: ManualClock) -> None:
    """At whatever places, on whatever days; another test is another."""
    for source_id in ("a", "b"):
        evidence = [EvidenceRef(region="430000", source_id=source_id)]
        one = verdict(Status.STATUS_RECOGNISED, at=clock.now, grounds=[Ground(clause="c", evidence=evidence)])
        for scene in (Scene.SCENE_HOTEL, Scene.SCENE_METRO):
            recorder.record(question(scene=scene), shown(one), SHOW)
        clock.forward(DAY / SECOND)
    await recorder.flush()
    by_measure = [mark.measure for mark in store.marks.values()]
    assert (2, 4) == (by_measure.count(Measure.REPEAT_TEST_AVOIDED), by_measure.count(Measure.RECOGNISED))


async def test_what_cannot_be_written_waits_and_nobody_with_it(
    recorder: Recorder, store: Store, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within a bound; what is beyond it is counted as lost."""
    monkeypatch.setattr(recorder_module, "MOST_WAITING", 3)
    store.down = True
    for person in range(5):
        recorder.record(question(person), shown(verdict(at=clock.now)), SHOW)
    with pytest.raises(Unavailable):
        await recorder.flush()
    store.down = False
    await recorder.flush()
    assert (3, 3) == (len(store.marks), len(store.refused))


async def test_supervision_and_the_past_count_for_nothing(recorder: Recorder, store: Store, clock: ManualClock) -> None:
    """Whoever looks at how it goes does not change it."""
    one = shown(verdict(at=clock.now))
    recorder.record(question(), one, Purpose.PURPOSE_SUPERVISION)
    recorder.record(question()._replace(at=clock.now), one, SHOW)
    recorder.record(question()._replace(known_at=clock.now), one, SHOW)
    await recorder.flush()
    assert 0 == store.writes


def test_a_mark_tells_nobody_whom_it_is_about(recorder: Recorder, store: Store, clock: ManualClock) -> None:
    """Neither the person's key nor anything that links two places to one person."""
    for scene in (Scene.SCENE_HOTEL, Scene.SCENE_METRO):
        recorder.record(question(7, scene), shown(verdict(at=clock.now)), SHOW)
    marks = list(recorder._marks)
    assert 2 == len(set(marks))
    assert question(7).person not in marks
