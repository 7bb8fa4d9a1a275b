"""Checks of a region's reads: they agree with its feed, page by page, as known then, and refuse what is wrong."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from hutong.common.v1.subject_pb2 import Subject
from hutong.records.v1.record_pb2 import RevisionAction, TestRecord, TestResult
from hutong.records.v1.record_read_service_pb2 import (
    BatchListRecordsRequest,
    BatchListRecordsResponse,
    ListRecordsRequest,
    ListRecordsResponse,
    RecordSelection,
)

from cli.conformance.calling import Refusal
from cli.conformance.region.revisions import instant, name_of, revision_of, sampled_at, stamp
from cli.conformance.region.under_test import MOST_CHANGES, NOBODY, PURPOSE, RegionUnderTest, Skipped, unlike_error


async def order(region: RegionUnderTest) -> list[str]:
    """People come in the order asked, with somebody unknown among them; records newest sample first."""
    people = [*(await region.whole()).people(), NOBODY]
    people.reverse()
    answer = await region.batch(people)
    if [person.person_key for person in answer.people] != people:
        return ["BatchListRecords: not one entry for each subject in the order asked"]
    wrong = ["somebody unknown has records"] if answer.people[0].records else []
    for person in answer.people:
        sampled = [sampled_at(record) for record in person.records]
        if sampled != sorted(sampled, reverse=True):
            wrong.append(f"records of one person: {name_of(person.records[0])} is not the newest sample")
    return wrong


async def agreement(region: RegionUnderTest) -> list[str]:
    """Reads give what the feed told: the current revision of each record, retracted ones included."""
    whole = await region.whole()
    if not whole.complete:
        raise Skipped(f"the feed has more than {MOST_CHANGES} changes")
    people, current = whole.people(), whole.current()
    wrong: list[str] = []
    for key, person in zip(people, (await region.batch(people)).people, strict=False):
        wrong += _compared(current[key].values(), person.records, "reads")
    return wrong


def _compared(expected: Iterable[TestRecord], given: Iterable[TestRecord], where: str) -> list[str]:
    wanted = {revision_of(record): record for record in expected}
    there = {revision_of(record): record for record in given}
    wrong = [f"{where}: {name_of(record)} is missing" for key, record in wanted.items() if key not in there]
    wrong += [
        f"{where}: {name_of(record)} is not what the feed told" for key, record in there.items() if key not in wanted
    ]
    wrong += [
        f"{where}: {name_of(record)} has another content"
        for key, record in there.items()
        if key in wanted and wanted[key].content != record.content
    ]
    return wrong


async def paging(region: RegionUnderTest) -> list[str]:
    """ListRecords page by page gives each record once."""
    whole = await region.whole()
    wrong: list[str] = []
    for key in whole.people()[:3]:
        request = ListRecordsRequest(subject=Subject(person_key=key), purpose=PURPOSE, page_size=1)
        paged: list[tuple[str, str, int]] = []
        for _ in range(1_000):
            page = await region.ask("RecordReadService", request, ListRecordsResponse)
            paged += [revision_of(record) for record in page.records]
            request.page_token = page.next_page_token
            if not page.next_page_token:
                break
        (person,) = (await region.batch([key])).people
        if sorted(paged) != sorted(revision_of(record) for record in person.records):
            wrong.append(
                f"ListRecords gave {len(paged)} records in pages of one, not the {len(person.records)} of a batch"
            )
    return wrong


async def history(region: RegionUnderTest) -> list[str]:
    """A history is every revision, oldest first; an unknown record is NOT_FOUND."""
    whole = await region.whole()
    wrong: list[str] = []
    several = sorted(whole.records(), key=lambda record: -record.revision)
    for source in dict.fromkeys((record.region, record.source_id) for record in several[:10]):
        told = [record.revision for record in whole.records() if (record.region, record.source_id) == source]
        given = [record.revision for record in (await region.history(*source)).revisions]
        if given != sorted(told):
            wrong.append(f"{'/'.join(source)}: revisions {given}, the feed told {sorted(told)}")
    if problem := await unlike_error(region.history(region.region, "no-such-record"), "NOT_FOUND", "RECORD_NOT_FOUND"):
        wrong.append(f"an unknown record: expected NOT_FOUND RECORD_NOT_FOUND, {problem}")
    return wrong


async def known_at(region: RegionUnderTest) -> list[str]:
    """An instant in known_at leaves out what arrived later, and the answer says which instant it was."""
    whole = await region.whole()
    people = whole.people()
    instants = sorted({instant(record.recorded_at) for record in whole.records()})
    wrong: list[str] = []
    asked = [instants[0] - timedelta(microseconds=1), instants[len(instants) // 2]] if instants else []
    for then in asked:
        answer = await region.batch(people, known_at=stamp(then))
        if instant(answer.known_at) != then:
            wrong.append(f"known_at {then.isoformat()}: the answer does not say so")
        current = whole.current(then)
        for key, person in zip(people, answer.people, strict=False):
            # In any order, and by revision alone: that reads are in order and agree is checked by itself.
            later = {revision_of(record) for record in person.records} - {
                revision_of(record) for record in current[key].values()
            }
            wrong += [f"known_at {then.isoformat()}: {'/'.join(map(str, one))} came later" for one in sorted(later)]
    return wrong


async def selection(region: RegionUnderTest) -> list[str]:
    """A selection may be ignored; what it leaves out is said, and nothing that matters is left out."""
    people = (await region.whole()).people()
    everything = {person.person_key: person for person in (await region.batch(people)).people}
    sampled = sorted(sampled_at(record) for person in everything.values() for record in person.records)
    if not sampled:
        raise Skipped("nobody has records")
    since = sampled[len(sampled) // 2]
    answer = await region.batch(people, selection=RecordSelection(since=stamp(since)))
    wrong: list[str] = []
    for person in answer.people:
        given = {revision_of(record) for record in person.records}
        missing = [record for record in everything[person.person_key].records if revision_of(record) not in given]
        standing = [record for record in missing if record.action != RevisionAction.REVISION_ACTION_RETRACTED]
        for record in standing:
            if sampled_at(record) >= since or _reported(record) >= since:
                wrong.append(f"{name_of(record)} is of the time that was asked for, and is left out")
            elif record.content.result == TestResult.TEST_RESULT_POSITIVE:
                wrong.append(f"{name_of(record)} is positive, and is left out")
        counted = sum(left.count for left in person.left_out)
        at_least = any(left.at_least for left in person.left_out)
        if counted > len(standing) or (counted < len(standing) and not at_least):
            wrong.append(f"{len(standing)} records of a person are left out, {counted} are said to be")
    return wrong


def _reported(record: TestRecord) -> datetime:
    return instant(record.content.reported_at)


async def wrong_requests(region: RegionUnderTest) -> list[str]:
    """A wrong request is refused, with the field and the reason."""
    purposeless = BatchListRecordsRequest(subjects=[Subject(person_key=NOBODY)])
    many = BatchListRecordsRequest(subjects=[Subject(person_key=NOBODY)] * 1_001, purpose=PURPOSE)
    nobody = BatchListRecordsRequest(subjects=[Subject()], purpose=PURPOSE)
    wrong: list[str] = []
    for what, request, reason in (
        ("no purpose", purposeless, "PURPOSE_REQUIRED"),
        ("1,001 subjects", many, "BATCH_SIZE"),
        ("an empty subject", nobody, "SUBJECT_REQUIRED"),
    ):
        try:
            await region.ask("RecordReadService", request, BatchListRecordsResponse)
        except Refusal as refused:
            if refused.code != "INVALID_ARGUMENT" or reason not in refused.fields.values():
                wrong.append(f"{what}: expected INVALID_ARGUMENT with {reason}, got {refused}")
        else:
            wrong.append(f"{what}: expected INVALID_ARGUMENT with {reason}, got an answer")
    return wrong
