"""After a region's feed had to be read again: finds what the region no longer has, by asking it, and makes the records
here say the same. It may be interrupted anywhere and done again: what is right already is left alone."""

import logging
from collections.abc import Sequence
from typing import Protocol

from hutong.common.v1.subject_pb2 import Purpose, Subject
from hutong.records.v1.laboratory_pb2 import Laboratory
from hutong.records.v1.record_pb2 import TestRecord
from hutong.records.v1.record_read_service_pb2 import BatchListRecordsRequest, ListLaboratoriesRequest

from services.common.instants import from_timestamp
from services.records.domain.holders import Holdings
from services.records.domain.reconciliation import corrected, corrected_laboratory, differs
from services.records.domain.revisions import PersonRecord, RecordId
from services.records.domain.standing import NewLaboratory, kept_as, names
from services.records.ports import Region
from services.records.store.protocols.feed_log import FeedLog
from services.records.store.protocols.laboratories import LaboratoryLog
from services.records.store.protocols.reads import RecordReads
from services.records.store.protocols.unit_of_work import UnitOfWork
from services.records.store.unit_of_work import Known, Plan, Touch
from services.records.store.values.records import LATEST
from services.runtime.clock import Clock

log = logging.getLogger("hutong.records.restoring")

AT_ONCE = 500
"""How many changes of this store's own feed are looked at in one step."""

ON_PAGE = 1_000


class ReconciledStore(FeedLog, RecordReads, LaboratoryLog, UnitOfWork, Protocol):
    """What is asked of the store that is compared with a region."""


async def restore(code: str, region: Region, store: ReconciledStore, clock: Clock) -> int:
    """Compares everything of one region here with what the region holds; returns how much was corrected.

    Raises ServiceError when the region or the store cannot be asked. Walks this store's own feed, so every record of
    the region passes, a bounded number at a time.
    """
    head = await store.head()
    count = await _laboratories(code, region, store, clock)
    for after in range(0, head.sequence, AT_ONCE):
        people: dict[bytes, None] = {}
        for row in await store.changes(after, AT_ONCE):
            if not row.is_laboratory and not row.purged_from:
                record = TestRecord.FromString(row.body)
                if record.region == code:
                    people[record.person_key] = None
        if people:
            count += await _records(code, region, store, list(people), clock)
    log.warning("a restored region was compared", extra={"region": code, "corrected": count})
    return count


async def _records(code: str, region: Region, store: ReconciledStore, people: Sequence[bytes], clock: Clock) -> int:
    # Ours is read first: what the region says afterwards knows at least as much, unless it has lost something.
    ours = await store.people(people, LATEST)
    request = BatchListRecordsRequest(purpose=Purpose.PURPOSE_REPLICATION)
    request.subjects.extend(Subject(person_key=key) for key in people)
    answer = await region.BatchListRecords(request)
    # What was purged is not lost. It is told with what there is: no purge comes in between.
    purged_before = from_timestamp(answer.purged_before)
    theirs = {
        PersonRecord(record.person_key, RecordId(record.region, record.source_id)): record
        for person in answer.people
        for record in person.records
    }
    seen: dict[PersonRecord, int] = {}
    for rows in ours.records.values():
        for row in rows:
            if row.region == code:
                key = PersonRecord(row.person_key, RecordId(row.region, row.source_id))
                current = TestRecord.FromString(row.body)
                if differs(current, theirs.get(key), purged_before):
                    seen[key] = current.revision
    if not seen:
        return 0
    count = 0

    def decide(known: Known) -> Plan:
        nonlocal count
        holdings = Holdings(known.histories, known.others)
        for key, number in seen.items():
            made = corrected(key.id, number, holdings.of(key.id, key.person_key), theirs.get(key))
            if made is not None:
                holdings.append(made)
        count = len(holdings.revisions)
        return Plan(lambda _: b"", holdings.revisions, moved=holdings.moved)

    await store.commit(Touch(dict.fromkeys(key.id for key in seen), others=seen.keys()), decide, clock)
    return count


async def _laboratories(code: str, region: Region, store: ReconciledStore, clock: Clock) -> int:
    ours: dict[str, Laboratory] = {}
    for row in await store.laboratories(0):
        laboratory = Laboratory.FromString(row.body)
        if laboratory.region == code:
            ours[laboratory.laboratory] = laboratory
    seen = {i: found.revision for i, found in ours.items()}
    if not seen:
        return 0
    theirs: dict[str, Laboratory] = {}
    token = ""
    while True:
        page = await region.ListLaboratories(ListLaboratoriesRequest(page_size=ON_PAGE, page_token=token))
        theirs.update((laboratory.laboratory, laboratory) for laboratory in page.laboratories)
        token = page.next_page_token
        if not token:
            break
    made: list[NewLaboratory] = []

    def decide(known: Known) -> Plan:
        nonlocal made
        kept = {kept_as(i, code, known.laboratories): i for i in seen}
        found = (
            corrected_laboratory(name, seen[i], known.laboratories.get(name), theirs.get(i)) for name, i in kept.items()
        )
        made = [laboratory for laboratory in found if laboratory is not None]
        return Plan(lambda _: b"", laboratories=made)

    touched = sorted(name for i in seen for name in names(i, code))
    await store.commit(Touch(laboratories=touched), decide, clock)
    return len(made)
