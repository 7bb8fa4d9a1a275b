"""Everything a records store is asked to do, once: for tests that look at what it says to its database."""

from hutong.common.v1.subject_pb2 import Purpose, Subject
from hutong.common.v1.text_pb2 import LocalizedText
from hutong.records.v1 import conflict_service_pb2 as cpb
from hutong.records.v1 import correction_service_pb2 as corrections
from hutong.records.v1 import record_write_service_pb2 as wpb
from hutong.records.v1.intake_service_pb2 import StreamRecordsRequest
from hutong.records.v1.laboratory_pb2 import Interval
from hutong.records.v1.record_pb2 import Origin, TestResult

from services.common.identities import secret_fingerprint
from services.common.instants import DAY, HOUR, Instant, calendar_day
from services.records.domain.quality import Sample
from services.records.domain.replication import Cursor
from services.records.domain.revisions import PersonRecord, RecordId
from services.records.domain.selection import Selection
from services.records.quality.figure_counter import FigureCounter
from services.records.quality.figures import LaboratoryFigures
from services.records.quality.live_figures import still_waiting
from services.records.retention.purge import purge
from services.records.store.owner import Owner
from services.records.store.postgres.store import PostgresStore
from services.records.store.postgres.unit_of_work import MANY
from services.records.store.sqlite.store import SqliteStore
from services.records.store.unit_of_work import Plan, Touch
from services.records.store.values.feed import Lag
from services.records.store.values.records import LATEST
from tests.testkit.builders.records import KEEP, hours, person, request_id, result, sampling, submission
from tests.testkit.clocks import NOON, ManualClock
from tests.testkit.secret import SECRET
from tests.testkit.servers.records_service import Records

OWNER = Owner("430000", secret_fingerprint(SECRET.encode()))
"""Whose the store is that is walked through: its service keeps keys of the tests' secret."""
SOURCE = "TUBE-"
"""What every source_id here begins with."""

_FIRST = Sample(Instant(0), "", "", "")

PEOPLE = MANY + 60
"""Their keys are person(1) and on."""


def tube(number: int) -> str:
    """The source_id of a person's record."""
    return f"{SOURCE}{number}"


Walked = PostgresStore | SqliteStore


async def fill(store: Walked) -> None:
    """Submits, takes in, amends, retracts, settles, suspends, follows, reads in every way, and counts, in a store that
    drives copies."""
    clock = ManualClock()
    records = Records(store, clock, keeps=("430000", "340000"))
    await _write(records)
    await _take_in(records)
    await _correct(records)
    await _follow(store, clock)
    await _read(store, records)
    await _count(store, clock)


async def walk(store: PostgresStore) -> None:
    """Fills a store, and purges it of everything."""
    await fill(store)
    await _weigh(store)
    await store.forget_answers(ManualClock()())
    # The manual clock's noon is years ago.
    assert await purge(store, 365 * 86_400, most=MANY) > MANY


async def _write(records: Records) -> None:
    once = request_id()
    await records.submit(tube(1), person(1), result(), once)
    await records.submit(tube(1), person(1), result(), once)
    # What is there already, what is not, and what contradicts it.
    offers = [submission(tube(n), person(n), result()) for n in range(1, 8)]
    await records.submit_many(offers)
    await records.submit_many([submission(tube(2), person(2), result(reported=-0.5)), *offers[3:]])
    copied = result(origin=Origin(region="430000", source_id=tube(3), revision=1))
    await records.submit(tube(8), person(8), copied, region="340000")


async def _take_in(records: Records) -> None:
    async def stream() -> object:
        yield StreamRecordsRequest(session_id="5b0fd6c5-8a53-4a04-9d0a-0f2d9d4a2f0a", purpose=KEEP)
        for batch, start in ((1, 20), (2, 30)):
            rows = [submission(tube(n), person(n), result()) for n in range(start, start + MANY + 10)]
            yield StreamRecordsRequest(batch=batch, submissions=rows)

    assert 3 == len([answer async for answer in records.calls.StreamRecords(stream())])


async def _correct(records: Records) -> None:
    await records.amend(tube(3), 1, result(reported=-0.5), request_id=request_id())
    await records.retract(tube(4), 1)
    (kept,) = (await records.calls.ListConflicts(cpb.ListConflictsRequest(purpose=KEEP))).conflicts
    settling = cpb.SettleConflictRequest(
        conflict_id=kept.conflict_id, settlement=cpb.Settlement.SETTLEMENT_STORED_KEPT, cause="asked", purpose=KEEP
    )
    await records.calls.SettleConflict(settling)
    # An id changes hands, and back.
    for who in (PEOPLE + 5, 5):
        await records.submit_many([submission(tube(5), person(who), result())])
        (kept,) = (await records.calls.ListConflicts(cpb.ListConflictsRequest(purpose=KEEP))).conflicts
        taking = cpb.SettleConflictRequest(
            conflict_id=kept.conflict_id,
            settlement=cpb.Settlement.SETTLEMENT_OFFERED_TAKEN,
            cause="asked",
            purpose=KEEP,
        )
        await records.calls.SettleConflict(taking)
    asked = await records.calls.RequestCorrection(
        corrections.RequestCorrectionRequest(
            region="430000",
            source_id=tube(6),
            subjects=[Subject(person_key=person(6))],
            kind=corrections.CorrectionRequestKind.CORRECTION_REQUEST_KIND_WRONG_TIME,
            purpose=Purpose.PURPOSE_HOLDER_DECISION,
            request_id=request_id(),
        )
    )
    await records.calls.AnswerCorrectionRequest(
        corrections.AnswerCorrectionRequestRequest(
            region="430000",
            correction_request_id=asked.correction_request.correction_request_id,
            answer=corrections.CorrectionAnswer.CORRECTION_ANSWER_STANDS,
            text="asked",
            purpose=KEEP,
        )
    )
    laboratory = "430000-xiangya"
    await records.calls.PutLaboratory(
        wpb.PutLaboratoryRequest(
            region="430000", laboratory=laboratory, display_name=LocalizedText(zh="湘雅", en="Xiangya")
        )
    )
    await records.calls.SuspendLaboratory(
        wpb.SuspendLaboratoryRequest(
            laboratory=laboratory, suspension_id="s1", sampled=Interval(to=hours(-4)), cause="audit"
        )
    )


async def _follow(store: Walked, clock: ManualClock) -> None:
    cursor = Cursor("feed", 7, Instant(1))
    await store.commit(Touch(followed="440000"), lambda _: Plan(lambda _: b"", cursor=cursor), clock)
    assert {"440000"} == set(await store.cursors())
    due = await store.due_copies(["340000"], 10)
    assert due
    await store.copies_done(due)
    await store.note_lag(Lag("440000", clock(), None))
    assert 1 == len(await store.lags())


async def _read(store: Walked, records: Records) -> None:
    assert [1] == [one.revision for one in await records.of(person(1))]
    assert PEOPLE // 2 < len((await store.people([person(n) for n in range(1, PEOPLE)], LATEST)).records)
    roll = await store.person_keys(b"", 10)
    assert 10 == len(roll)
    assert roll[5:] == (await store.person_keys(roll[4], 5))
    everybody = [person(n) for n in range(1, PEOPLE)]
    nothing_recent = Selection(LATEST, 0, 2, ("340000",))
    for known_at in (LATEST, Instant(LATEST - 1)):
        assert (await store.people(everybody, known_at, selection=nothing_recent)).left_out
    for few in (everybody[:3], everybody[:16]):
        for known_at in (LATEST, records.clock()):
            await store.people(few, known_at, selection=nothing_recent)
    assert 2 == len(await records.history(tube(3)))
    head = await store.head()
    assert head.sequence == len(await store.changes(0, 10_000))
    assert head.mark == await store.mark(head.sequence)
    assert 2 == len(await store.laboratories(0))
    assert 0 == await store.batches("unknown")
    assert 3 == len(await store.conflicts(0, 10, True))
    assert 1 == len(await store.correction_requests("430000", ["430000-xiangya"], 0, 10, True))
    assert 1 == len(await store.correction_requests_of([person(6)]))
    assert [] == await store.late_result_requests([RecordId("430000", tube(6))])
    assert 1 == len(await store.correction_request_counts("430000"))
    assert 1 == await store.newest_revision(PersonRecord(person(6), RecordId("430000", tube(6))))
    assert 1 == len(await store.former(RecordId("430000", tube(5))))
    found = [one async for batch in store.by_time(Instant(NOON - DAY), Instant(NOON + HOUR), LATEST) for one in batch]
    assert found


async def _weigh(store: PostgresStore) -> None:
    # As a program left it that knew of no selections.
    forget = "update revision set latest_at = 4611686018427387904 where person_key = $1"
    await store._run(lambda connection: connection.execute(forget, person(1)))
    assert [1, 0] == [await store.weigh(10) for _ in range(2)]


async def _count(store: Walked, clock: ManualClock) -> None:
    figures = LaboratoryFigures(store, FigureCounter("walk", store, store.figures, clock))
    records = Records(store, clock)
    await records.submit(tube(11), person(11), sampling(-30.0))
    await records.submit(tube(12), person(12), result(outcome=TestResult.TEST_RESULT_POSITIVE))
    day = calendar_day(NOON)
    assert 2 == len((await figures.live(day - 1, day, clock(), 24)).figures)
    assert 1 == len((await figures.live(day, day, clock(), 24, "430000-xiangya")).figures)
    for laboratory in ("", "430000-xiangya"):
        found = await figures.overdue_now(day - 1, day, clock(), 24, laboratory, _FIRST, 10)
        assert [tube(11)] == [sample.source_id for sample in found.samples]
        async with store.figures.reading() as counts:
            assert found.samples == await still_waiting(counts, found.samples)
    # A laboratory whose only record is another's takes its figures with it.
    await records.submit(tube(13), person(13), result(laboratory="gone"))
    await figures.live(day, day, clock(), 24)
    await records.amend(tube(13), 1, result(laboratory="430000-xiangya"))
    await records.submit(tube(11), person(11), result(-30.0))
    assert 1 == len((await figures.live(day, day, clock(), 24)).figures)
