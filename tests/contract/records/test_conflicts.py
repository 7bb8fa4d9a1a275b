"""Conflicts are kept, counted, listed and settled, over every backend."""

import asyncio
from typing import Any

import pytest
from hutong.common.v1.subject_pb2 import Document, DocumentType, Subject
from hutong.records.v1 import conflict_service_pb2 as cpb
from hutong.records.v1 import record_write_service_pb2 as wpb
from hutong.records.v1.change_feed_service_pb2 import ListChangesRequest
from hutong.records.v1.record_pb2 import RevisionAction, TestResult
from msgspec.structs import replace

from services.common.errors import ServiceError
from services.records.domain.revisions import RecordId
from services.runtime.rpc.call import enter, leave, within
from tests.testkit.builders.records import KEEP, fresh_id, person, request_id, result, sampling, submission
from tests.testkit.servers.records_service import Records, refused

POSITIVE = TestResult.TEST_RESULT_POSITIVE
SUBMITTED = RevisionAction.REVISION_ACTION_SUBMITTED
AMENDED = RevisionAction.REVISION_ACTION_AMENDED
CONTESTED = RevisionAction.REVISION_ACTION_CONTESTED
RETRACTED = RevisionAction.REVISION_ACTION_RETRACTED
KEPT = cpb.Settlement.SETTLEMENT_STORED_KEPT
TAKEN = cpb.Settlement.SETTLEMENT_OFFERED_TAKEN


async def listed(records: Records, settled_too: bool = False, page_size: int = 0) -> list[cpb.Conflict]:
    """All conflicts, page by page."""
    found: list[cpb.Conflict] = []
    token = ""
    while True:
        page = await records.calls.ListConflicts(
            cpb.ListConflictsRequest(purpose=KEEP, settled_too=settled_too, page_size=page_size, page_token=token)
        )
        found += page.conflicts
        token = page.next_page_token
        if not token:
            return found


async def settle(
    records: Records, conflict_id: str, how: cpb.Settlement.ValueType, cause: str = "asked the lab"
) -> Any:
    """Settles one."""
    request = cpb.SettleConflictRequest(conflict_id=conflict_id, settlement=how, cause=cause, purpose=KEEP)
    settled: cpb.Conflict = (await records.calls.SettleConflict(request)).conflict
    return settled


async def conflict(records: Records) -> tuple[str, cpb.Conflict]:
    """A negative that is stored, a positive that was offered; the source id and the conflict."""
    source_id = fresh_id()
    await records.submit(source_id, person(1), result())
    await refused(records.submit(source_id, person(1), result(outcome=POSITIVE)))
    return source_id, next(c for c in await listed(records) if c.source_id == source_id)


async def test_what_was_offered_is_kept(records: Records) -> None:
    """A refused submission is listed: which record and revision, what was offered, by whom and when."""
    source_id, kept = await conflict(records)
    assert (kept.region, kept.source_id, kept.revision, kept.reason) == ("430000", source_id, 1, "RECORD_CONFLICT")
    assert (kept.person_key, kept.offered, kept.offered_by) == (person(1), result(outcome=POSITIVE), "tests")
    assert (kept.times, kept.settlement, kept.HasField("settled_at")) == (1, 0, False)
    assert kept.first_offered_at == kept.last_offered_at


async def test_the_same_again_is_counted(records: Records) -> None:
    """The same offer is one conflict, alone or in a batch, as often as it comes; another one is another."""
    source_id, first = await conflict(records)
    await records.submit_many([submission(source_id, person(1), result(outcome=POSITIVE))] * 2)
    await records.submit_many([submission(source_id, person(2), result())])
    same, other = await listed(records)
    assert (same.conflict_id, same.times) == (first.conflict_id, 3)
    assert (
        same.last_offered_at.ToNanoseconds()
        > first.last_offered_at.ToNanoseconds()
        == (same.first_offered_at.ToNanoseconds())
    )
    assert (other.reason, other.person_key, other.times) == ("PERSON_CONFLICT", person(2), 1)


async def test_a_retried_batch_is_not_counted_again(records: Records) -> None:
    """A batch under its request_id happens once, and so do its conflicts."""
    source_id = fresh_id()
    await records.submit(source_id, person(1), result())
    batch, name = [submission(source_id, person(1), result(outcome=POSITIVE))], request_id()
    for _ in range(3):
        await records.submit_many(batch, name)
    assert [c.times for c in await listed(records)] == [1]


async def test_keeping_what_is_stored(records: Records) -> None:
    """What was stored is brought back; the conflict is settled with its cause, and the same offer does not open it
    again."""
    source_id, found = await conflict(records)
    settled = await settle(records, found.conflict_id, KEPT)
    assert (settled.settlement, settled.cause, settled.settled_by) == (KEPT, "asked the lab", "tests")
    assert settled.HasField("settled_at")
    history = await records.history(source_id)
    assert [(r.content, r.action) for r in history] == [
        (result(), SUBMITTED),
        (result(outcome=POSITIVE), CONTESTED),
        (result(), AMENDED),
    ]
    assert history[-1].cause == "asked the lab"
    await refused(records.submit(source_id, person(1), result(outcome=POSITIVE)))
    assert await records.history(source_id) == history
    assert await listed(records) == []
    [shown] = await listed(records, settled_too=True)
    assert (shown.settlement, shown.times) == (KEPT, 2)


async def test_taking_what_was_offered(records: Records) -> None:
    """What stands for the time being is confirmed, with the cause; both the record and the conflict tell; the same
    offer is now stored."""
    source_id, found = await conflict(records)
    settled = await settle(records, found.conflict_id, TAKEN, "the second report is right")
    assert settled.settlement == TAKEN
    history = await records.history(source_id)
    assert [(r.revision, r.content, r.action) for r in history] == [
        (1, result(), SUBMITTED),
        (2, result(outcome=POSITIVE), CONTESTED),
        (3, result(outcome=POSITIVE), AMENDED),
    ]
    assert history[-1].cause == "the second report is right"
    again = await records.submit(source_id, person(1), result(outcome=POSITIVE))
    assert again.outcome == wpb.SubmitOutcome.SUBMIT_OUTCOME_UNCHANGED


async def test_both_statements_are_shown(records: Records) -> None:
    """A conflict shows what was stored beside what was offered, although the graver stands meanwhile."""
    source_id, kept = await conflict(records)
    assert (result(), result(outcome=POSITIVE)) == (kept.stored, kept.offered)
    settled = await settle(records, kept.conflict_id, TAKEN)
    assert result(outcome=POSITIVE) == settled.stored
    await records.retract(source_id, 3)
    [shown] = await listed(records, settled_too=True)
    assert not shown.HasField("stored")


async def test_a_settlement_is_kept_under_whom_the_mesh_calls_for(records: Records) -> None:
    """The store keeps the name of the one supervisor for whom the gateway calls; for several, the caller's own."""
    for users, by in ((("supervisor/wang",), "supervisor/wang"), (("supervisor/wang", "supervisor/li"), "tests")):
        _, kept = await conflict(records)
        entered = enter(replace(within(30), users=users))
        try:
            settled = await settle(records, kept.conflict_id, KEPT)
        finally:
            leave(entered)
        assert by == settled.settled_by


async def test_only_the_store_that_is_meant_settles(records: Records) -> None:
    """Another does nothing."""
    _, waiting = await conflict(records)
    request = cpb.SettleConflictRequest(
        conflict_id=waiting.conflict_id, settlement=KEPT, cause="asked the lab", purpose=KEEP
    )
    request.store.region = "110000"
    error = await refused(records.calls.SettleConflict(request))
    assert "WRONG_STORE" == error.reason
    assert waiting in await listed(records)
    request.store.region = "430000"
    await records.calls.SettleConflict(request)


async def test_settling_twice(records: Records) -> None:
    """The same way again changes nothing; the other way is refused."""
    source_id, found = await conflict(records)
    first = await settle(records, found.conflict_id, TAKEN)
    assert await settle(records, found.conflict_id, TAKEN) == first
    error = await refused(settle(records, found.conflict_id, KEPT))
    assert (error.code.name, error.reason) == ("FAILED_PRECONDITION", "CONFLICT_SETTLED")
    assert len(await records.history(source_id)) == 3


async def test_what_cannot_be_taken(records: Records) -> None:
    """A retracted record, and one that has changed since, whoever was offered: only what is stored can stay."""
    source_id, outdated = await conflict(records)
    await refused(records.submit(source_id, person(2), result()))
    others = next(c for c in await listed(records) if c.reason == "PERSON_CONFLICT")
    await records.amend(source_id, 2, result(reported=-0.5))
    assert (await refused(settle(records, outdated.conflict_id, TAKEN))).reason == "REVISION_MISMATCH"
    assert (await refused(settle(records, others.conflict_id, TAKEN))).reason == "REVISION_MISMATCH"
    await records.retract(source_id, 3)
    assert (await refused(settle(records, outdated.conflict_id, TAKEN))).reason == "CONFLICT_NOT_AMENDABLE"
    for found in (outdated, others):
        assert (await settle(records, found.conflict_id, KEPT)).settlement == KEPT
    assert len(await records.history(source_id)) == 4


async def test_the_graver_statement_stands_until_somebody_has_settled_it(records: Records) -> None:
    """A positive that contradicts a negative is what readers and followers see; a negative that contradicts a positive
    is only listed."""
    graver, milder = fresh_id(), fresh_id()
    await records.submit(graver, person(1), result())
    await refused(records.submit(graver, person(1), result(outcome=POSITIVE)))
    await records.submit(milder, person(2), result(outcome=POSITIVE))
    await refused(records.submit(milder, person(2), result()))
    for who in (1, 2):
        [standing] = await records.of(person(who))
        assert standing.content == result(outcome=POSITIVE)
    page = await records.calls.ListChanges(ListChangesRequest())
    assert told(page.changes) == [(person(1), 1, SUBMITTED), (person(1), 2, CONTESTED), (person(2), 1, SUBMITTED)]
    assert {c.source_id for c in await listed(records)} == {graver, milder}


async def test_conflicts_one_upon_another_are_settled_from_the_newest(records: Records) -> None:
    """A negative, an inconclusive, a positive of one sample: each is settled by itself, and what is left stands."""
    source_id = fresh_id()
    inconclusive = result(outcome=TestResult.TEST_RESULT_INCONCLUSIVE)
    await records.submit(source_id, person(1), result())
    await refused(records.submit(source_id, person(1), inconclusive))
    await refused(records.submit(source_id, person(1), result(outcome=POSITIVE)))
    first, second = await listed(records)
    assert (first.revision, second.revision) == (1, 2)
    assert (await refused(settle(records, first.conflict_id, KEPT))).reason == "REVISION_MISMATCH"
    await settle(records, second.conflict_id, KEPT)
    assert [(r.content, r.action) for r in (await records.history(source_id))[3:]] == [(inconclusive, CONTESTED)]
    await settle(records, first.conflict_id, KEPT)
    assert [(r.content, r.action) for r in (await records.history(source_id))[4:]] == [(result(), AMENDED)]


async def offered(records: Records, source_id: str, who: bytes, content: Any = None) -> cpb.Conflict:
    """The conflict that offering somebody's test under a known id ends in."""
    await refused(records.submit(source_id, who, content or result(-3, -2)))
    found = next(c for c in await listed(records) if (c.source_id, c.person_key) == (source_id, who))
    assert found.reason == "PERSON_CONFLICT"
    return found


def told(changes: Any) -> list[tuple[bytes, int, int]]:
    """Returns the person, revision and action of every change."""
    return [(change.record.person_key, change.record.revision, change.record.action) for change in changes]


async def test_taking_another_persons_test(records: Records) -> None:
    """The record is theirs from then on; the other's test is retracted with the cause, and no number means two things.
    Nobody sees what is another's, and a late duplicate of the first brings nothing back."""
    source_id = fresh_id()
    await records.submit(source_id, person(1), result())
    found = await offered(records, source_id, person(2))
    assert (await settle(records, found.conflict_id, TAKEN, "labels swapped")).settlement == TAKEN
    [theirs], [former] = await records.of(person(2)), await records.of(person(1))
    assert (theirs.revision, theirs.content, theirs.cause) == (3, result(-3, -2), "labels swapped")
    assert (former.revision, former.action, former.cause) == (2, RETRACTED, "labels swapped")
    assert await records.history(source_id) == [theirs]
    late = await offered(records, source_id, person(1), result())
    assert (late.revision, [r.action for r in await records.of(person(1))]) == (3, [RETRACTED])
    page = await records.calls.ListChanges(ListChangesRequest())
    assert told(page.changes) == [(person(1), 1, SUBMITTED), (person(1), 2, RETRACTED), (person(2), 3, AMENDED)]
    again = await records.submit(source_id, person(2), result(-3, -2))
    assert again.outcome == wpb.SubmitOutcome.SUBMIT_OUTCOME_UNCHANGED
    with pytest.raises(ServiceError, match="current revision"):
        await records.amend(source_id, 1, result())


async def test_taking_over_what_was_retracted(records: Records) -> None:
    """What was withdrawn as the wrong person's can become the right one's, under the same id."""
    source_id = fresh_id()
    await records.submit(source_id, person(1), result())
    await records.retract(source_id, 1)
    found = await offered(records, source_id, person(2))
    await settle(records, found.conflict_id, TAKEN)
    assert [r.revision for r in await records.history(source_id)] == [3]
    assert [r.cause for r in await records.of(person(1))] == ["mistyped"]


async def test_taken_and_taken_back(records: Records) -> None:
    """Who had an id before can have it again: the history goes on, and each person keeps his own."""
    source_id = fresh_id()
    await records.submit(source_id, person(1), result())
    for who in (2, 1):
        await settle(records, (await offered(records, source_id, person(who), result())).conflict_id, TAKEN)
    assert [(r.person_key, r.revision) for r in await records.history(source_id)] == [
        (person(1), number) for number in (1, 2, 5)
    ]
    assert [r.action for r in await records.of(person(2))] == [RETRACTED]
    await records.amend(source_id, 5, result(reported=-0.5))
    assert (await records.of(person(1)))[0].revision == 6


@pytest.mark.parametrize("withdrawn", [False, True])
async def test_one_of_two_offers_is_taken(records: Records, withdrawn: bool) -> None:
    """Two people's tests were offered against one revision, and both are taken at once: one of them is."""
    source_id = fresh_id()
    await records.submit(source_id, person(1), result())
    if withdrawn:
        await records.retract(source_id, 1)
    offers = [await offered(records, source_id, person(who)) for who in (2, 3)]
    done = await asyncio.gather(*(settle(records, o.conflict_id, TAKEN) for o in offers), return_exceptions=True)
    [error] = [one for one in done if isinstance(one, ServiceError)]
    assert error.reason == "REVISION_MISMATCH"
    standing = [r for who in (1, 2, 3) for r in await records.of(person(who)) if r.action != RETRACTED]
    assert standing == await records.history(source_id)


async def test_a_purge_of_the_former_leaves_the_holder(records: Records) -> None:
    """What the former had is purged when it is old; the record is the holder's as before, and then goes too."""
    source_id = fresh_id()
    await records.submit(source_id, person(1), result())
    records.clock.forward(3600)
    await records.retract(source_id, 1)
    records.clock.forward(3600)
    between = records.clock()
    await settle(records, (await offered(records, source_id, person(2))).conflict_id, TAKEN)
    assert await records.store.former(RecordId("430000", source_id)) != []
    assert (await records.purge(between, 0, 100)).records == 1
    assert await records.store.former(RecordId("430000", source_id)) == []
    assert [r.person_key for r in await records.history(source_id)] == [person(2)]
    assert len(await listed(records, settled_too=True)) == 1
    records.clock.forward(3600)
    assert (await records.purge(records.clock(), 0, 100)).records == 1
    assert await listed(records, settled_too=True) == []
    created = await records.submit(source_id, person(3), result())
    assert created.outcome == wpb.SubmitOutcome.SUBMIT_OUTCOME_CREATED


async def test_conflicts_come_in_pages(records: Records) -> None:
    """Oldest first, each once; a token is of its own question."""
    ids = [(await conflict(records))[0] for _ in range(5)]
    assert [c.source_id for c in await listed(records, page_size=2)] == ids
    page = await records.calls.ListConflicts(cpb.ListConflictsRequest(purpose=KEEP, page_size=2))
    error = await refused(
        records.calls.ListConflicts(
            cpb.ListConflictsRequest(purpose=KEEP, settled_too=True, page_token=page.next_page_token)
        )
    )
    assert [v.reason for v in error.violations] == ["PAGE_TOKEN"]


async def test_a_wrong_settlement_is_refused(records: Records) -> None:
    """An unknown conflict is not found; what is missing is named."""
    assert (await refused(settle(records, "none", KEPT))).reason == "CONFLICT_NOT_FOUND"
    error = await refused(records.calls.SettleConflict(cpb.SettleConflictRequest(purpose=KEEP)))
    assert sorted(v.reason for v in error.violations) == [
        "CAUSE_REQUIRED",
        "CONFLICT_ID_REQUIRED",
        "SETTLEMENT_REQUIRED",
    ]


async def test_no_document_number_is_kept(records: Records) -> None:
    """A conflict names a person by key, however the person was named."""
    source_id = fresh_id()
    await records.submit(source_id, person(1), sampling())
    asked = submission(source_id, person(1), result(outcome=POSITIVE))
    document = Document(type=DocumentType.DOCUMENT_TYPE_PASSPORT, number="e12345678")
    asked.subject.CopyFrom(Subject(document=document))
    await refused(records.calls.SubmitRecord(wpb.SubmitRecordRequest(submission=asked, purpose=KEEP)))
    [kept] = await listed(records)
    assert len(kept.person_key) == 16
    assert b"12345678" not in kept.SerializeToString()
