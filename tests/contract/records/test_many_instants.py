"""Many instants in one question, and the table of all laboratories, over every backend."""

import asyncio
from itertools import pairwise

import pytest
from hutong.common.v1.subject_pb2 import Subject
from hutong.records.v1 import record_write_service_pb2 as wpb
from hutong.records.v1.laboratory_pb2 import Interval
from hutong.records.v1.record_read_service_pb2 import (
    BatchListRecordsAtInstantsRequest,
    BatchListRecordsRequest,
    BatchListRecordsResponse,
    InstantQuestion,
    KnownLaboratories,
)

from services.common.errors import Code
from services.common.instants import SECOND, Instant, to_timestamp
from services.runtime.rpc.call import enter, leave, within
from tests.testkit.builders.records import SHOW, hours, person, result
from tests.testkit.servers.records_service import Records, put_laboratory, refused


def known(*versions: int) -> KnownLaboratories:
    """The tables a caller keeps."""
    return KnownLaboratories(versions=versions)


async def at_instants(
    records: Records, instants: list[Instant], people: list[bytes], tables: KnownLaboratories | None = None
) -> list[BatchListRecordsResponse]:
    """Returns what was known of these people at each instant."""
    subjects = [Subject(person_key=key) for key in people]
    questions = [InstantQuestion(known_at=to_timestamp(instant), subjects=subjects) for instant in instants]
    request = BatchListRecordsAtInstantsRequest(questions=questions, purpose=SHOW, known_laboratories=tables)
    return list((await records.calls.BatchListRecordsAtInstants(request)).answers)


async def at_instant(
    records: Records, instant: Instant | None, people: list[bytes], tables: KnownLaboratories | None = None
) -> BatchListRecordsResponse:
    """Returns what was known of these people at one instant, or is now."""
    request = BatchListRecordsRequest(
        subjects=[Subject(person_key=key) for key in people], purpose=SHOW, known_laboratories=tables
    )
    if instant is not None:
        request.known_at.CopyFrom(to_timestamp(instant))
    answer: BatchListRecordsResponse = await records.calls.BatchListRecords(request)
    return answer


async def suspend(records: Records, laboratory: str) -> None:
    """Suspends a laboratory for ever."""
    await records.calls.SuspendLaboratory(
        wpb.SuspendLaboratoryRequest(
            laboratory=laboratory, suspension_id="s1", sampled=Interval(to=hours(0)), cause="licence"
        )
    )


async def history(records: Records) -> list[Instant]:
    """Makes a past of records and laboratories; returns the instants between."""
    instants = [records.clock()]

    async def then(step: object) -> None:
        await step  # type: ignore[misc]  # an awaitable of whatever it answers
        records.clock.forward(1)
        instants.append(records.clock())
        records.clock.forward(1)

    records.clock.forward(1)
    await then(put_laboratory(records, "430000-xiangya"))
    await then(records.submit("A", person(1), result()))
    await then(put_laboratory(records, "430000-other"))
    await then(suspend(records, "430000-other"))
    await then(records.amend("A", 1, result(reported=-0.5)))
    await then(records.submit("B", person(2), result()))
    return instants


async def test_many_instants_are_answered_as_each_alone(records: Records) -> None:
    """In the order asked, with and without tables of laboratories."""
    instants = await history(records)
    people = [person(1), person(2), person(3)]
    assert [await at_instant(records, at, people) for at in instants] == await at_instants(records, instants, people)
    for answer in await at_instants(records, instants, people, known()):
        answer.ClearField("laboratories")
        instant = Instant(answer.known_at.seconds * 1_000_000 + answer.known_at.nanos // 1000)
        alone = await at_instant(records, instant, people, known(answer.laboratories_version))
        assert alone == answer


async def test_a_table_has_a_version_and_is_sent_once(records: Records) -> None:
    """Each table comes with the first answer that names it, and whoever says that they have it gets none."""
    instants = await history(records)
    answers = await at_instants(records, instants, [person(3)], known())
    versions = [answer.laboratories_version for answer in answers]
    changed = [before != after for before, after in pairwise(versions)]
    assert [True, False, True, True, False, False] == changed
    assert 0 == versions[0]
    tables = [[(one.laboratory, len(one.suspensions)) for one in answer.laboratories] for answer in answers]
    other, xiangya = ("430000-other", 0), ("430000-xiangya", 0)
    assert [[], [xiangya], [], [other, xiangya], [("430000-other", 1), xiangya], [], []] == tables
    now = await at_instant(records, None, [person(3)], known(*versions))
    assert (versions[-1], []) == (now.laboratories_version, list(now.laboratories))


async def test_a_table_does_not_depend_on_who_is_asked_about(records: Records) -> None:
    """Whoever is in the batch, and whatever their records name."""
    instants = await history(records)
    one, other = [await at_instant(records, instants[-1], [person(n)], known()) for n in (1, 3)]
    assert list(one.laboratories) == list(other.laboratories)
    assert one.laboratories_version == other.laboratories_version


@pytest.mark.parametrize(
    ("questions", "field", "reason"),
    [
        ([], "questions", "BATCH_SIZE"),
        ([InstantQuestion(known_at=hours(0))], "questions", "BATCH_SIZE"),
        (
            [InstantQuestion(known_at=hours(0), subjects=[Subject(person_key=person(1))] * 1001)],
            "questions",
            "BATCH_SIZE",
        ),
        (
            [
                InstantQuestion(known_at=hours(0), subjects=[Subject(person_key=person(1))]),
                InstantQuestion(known_at=hours(0), subjects=[Subject()]),
            ],
            "questions[1].subjects[0]",
            "SUBJECT_REQUIRED",
        ),
    ],
)
async def test_what_is_wrong_is_named(records: Records, questions, field, reason) -> None:
    """By the question's place."""
    error = await refused(
        records.calls.BatchListRecordsAtInstants(BatchListRecordsAtInstantsRequest(questions=questions, purpose=SHOW))
    )
    assert [(field, reason)] == [(one.field, one.reason) for one in error.violations]


async def test_no_work_is_done_after_the_deadline(records: Records) -> None:
    """Whoever asked is gone."""
    instants = await history(records)
    token = enter(within(-1))
    try:
        error = await refused(at_instants(records, instants, [person(1)]))
    finally:
        leave(token)
    assert Code.DEADLINE_EXCEEDED is error.code


async def test_what_is_asked_about_now_waits_for_few_instants(records: Records) -> None:
    """Ten callers ask about a thousand instants each; in between, what is asked about now is answered."""
    await records.submit("A", person(1), result())
    instants = [Instant(records.clock() - number * SECOND) for number in range(1000)]
    much = [asyncio.create_task(at_instants(records, instants, [person(1)])) for _ in range(10)]
    for _ in range(20):
        await at_instant(records, None, [person(1)])
        assert not any(task.done() for task in much)
    for task in much:
        task.cancel()
    await asyncio.gather(*much, return_exceptions=True)
