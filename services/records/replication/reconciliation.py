"""After a region's feed had to be read again: finds what the region lost and this store still has, gives it back, and
takes what the region says then. It may be interrupted anywhere and done again: what is right already is left alone."""

import logging
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Protocol

from hutong.common.v1.subject_pb2 import Purpose, Subject
from hutong.records.v1.laboratory_pb2 import Laboratory
from hutong.records.v1.record_pb2 import TestRecord
from hutong.records.v1.record_read_service_pb2 import BatchListRecordsRequest
from hutong.records.v1.restoration_service_pb2 import GiveBackRequest, LaboratoryHistory, RecordHistory

from services.common.instants import from_timestamp
from services.records.domain.holders import Holdings
from services.records.domain.reconciliation import adopt, adopted_laboratory, differs, made_here
from services.records.domain.revisions import History, PersonRecord, RecordId
from services.records.domain.standing import kept_as, names
from services.records.replication.proven_region import ProvenRegion
from services.records.store.protocols.feed_log import FeedLog
from services.records.store.protocols.laboratories import LaboratoryLog
from services.records.store.protocols.reads import RecordReads
from services.records.store.protocols.unit_of_work import UnitOfWork
from services.records.store.unit_of_work import Known, Plan, Touch
from services.records.store.values.records import LATEST
from services.runtime.clock import Clock

log = logging.getLogger("hutong.records.reconciliation")

AT_ONCE = 500
"""How many changes of this store's own feed are looked at in one step."""

GIVEN_AT_ONCE = 200
"""How many records, or laboratories, are given back in one request."""


class ReconciledStore(FeedLog, RecordReads, LaboratoryLog, UnitOfWork, Protocol):
    """The store as it is compared with a region."""


async def reconcile(region: ProvenRegion, store: ReconciledStore, clock: Clock) -> int:
    """Compares everything of one region here with what the region has; returns how many records and laboratories
    differed, and now say in both what they say in the region.

    Raises ServiceError when the region or the store cannot be asked. Walks this store's own feed, so every record of
    the region passes, a bounded number at a time.
    """
    head = await store.head()
    count = await _laboratories(region, store, clock)
    for after in range(0, head.sequence, AT_ONCE):
        people: dict[bytes, None] = {}
        for row in await store.changes(after, AT_ONCE):
            if not row.is_laboratory and not row.purged_from:
                record = TestRecord.FromString(row.body)
                if record.region == region.code:
                    people[record.person_key] = None
        if people:
            count += await _records(region, store, list(people), clock)
    log.warning("a restored region was compared", extra={"region": region.code, "differed": count})
    return count


async def _records(region: ProvenRegion, store: ReconciledStore, people: Sequence[bytes], clock: Clock) -> int:
    # Ours is read first: what the region says afterwards knows at least as much, unless it has lost something.
    ours = await store.people(people, LATEST)
    request = BatchListRecordsRequest(purpose=Purpose.PURPOSE_REPLICATION)
    request.subjects.extend(Subject(person_key=key) for key in people)
    answer = await region.records(request)
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
            if row.region == region.code:
                key = PersonRecord(row.person_key, RecordId(row.region, row.source_id))
                current = TestRecord.FromString(row.body)
                if differs(current, theirs.get(key), purged_before):
                    seen[key] = current.revision
    remaining = iter(seen.items())
    while some := dict(islice(remaining, GIVEN_AT_ONCE)):
        await _give_back(region, store, some, clock)
    return len(seen)


async def _give_back(
    region: ProvenRegion, store: ReconciledStore, seen: Mapping[PersonRecord, int], clock: Clock
) -> None:
    touch = Touch(dict.fromkeys(key.id for key in seen), others=seen.keys())
    histories = await _histories(store, touch, seen, clock)
    request = GiveBackRequest(feed_id=region.feed_id, purpose=Purpose.PURPOSE_REPLICATION)
    for history in histories:
        revisions = (TestRecord.FromString(revision.body) for revision in history)
        request.records.append(RecordHistory(revisions=[one for one in revisions if not made_here(one)]))
    response = await region.give_back(request)

    def decide(known: Known) -> Plan:
        holdings = Holdings(known.histories, known.others)
        for number, theirs in zip(seen.values(), response.records, strict=True):
            adopt(number, theirs.revisions, holdings)
        return Plan(lambda _: b"", holdings.revisions, moved=holdings.moved)

    await store.commit(touch, decide, clock)


async def _histories(
    store: ReconciledStore, touch: Touch, keys: Mapping[PersonRecord, int], clock: Clock
) -> Sequence[History]:
    histories: list[History] = []

    def decide(known: Known) -> Plan:
        holdings = Holdings(known.histories, known.others)
        histories[:] = [holdings.of(key.id, key.person_key) for key in keys]
        return Plan(lambda _: b"")

    await store.commit(touch, decide, clock)
    return histories


async def _laboratories(region: ProvenRegion, store: ReconciledStore, clock: Clock) -> int:
    revisions: dict[str, list[Laboratory]] = {}
    for row in await store.laboratories(0):
        laboratory = Laboratory.FromString(row.body)
        if laboratory.region == region.code:
            revisions.setdefault(laboratory.laboratory, []).append(laboratory)
    count = 0
    remaining = iter(revisions.items())
    while some := dict(islice(remaining, GIVEN_AT_ONCE)):
        count += await _give_back_laboratories(region, store, some, clock)
    return count


async def _give_back_laboratories(
    region: ProvenRegion, store: ReconciledStore, ours: Mapping[str, Sequence[Laboratory]], clock: Clock
) -> int:
    request = GiveBackRequest(feed_id=region.feed_id, purpose=Purpose.PURPOSE_REPLICATION)
    request.laboratories.extend(LaboratoryHistory(revisions=revisions) for revisions in ours.values())
    response = await region.give_back(request)
    count = 0

    def decide(known: Known) -> Plan:
        nonlocal count
        adopted = []
        for (laboratory, revisions), theirs in zip(ours.items(), response.laboratories, strict=True):
            name = kept_as(laboratory, region.code, known.laboratories)
            new = adopted_laboratory(name, revisions[-1].revision, known.laboratories.get(name), theirs)
            if new is not None:
                adopted.append(new)
        count = len(adopted)
        return Plan(lambda _: b"", laboratories=adopted)

    await store.commit(Touch(laboratories=sorted(n for i in ours for n in names(i, region.code))), decide, clock)
    return count
