"""Serves RestorationService over a store."""

from collections.abc import Sequence

from hutong.records.v1 import restoration_service_pb2 as pb
from hutong.records.v1.laboratory_pb2 import Laboratory
from hutong.records.v1.record_pb2 import TestRecord

from services.common.documents import PERSON_KEY_BYTES
from services.common.errors import Unavailable, Violation
from services.common.identities import FEED_CHANGED, shown_text
from services.common.instants import Instant
from services.common.requests import fields
from services.common.requests.violations import violation
from services.records.domain.content import stamp
from services.records.domain.holders import Holdings
from services.records.domain.reconciliation import GivenBack
from services.records.domain.revisions import History, PersonRecord, RecordId, StoredRevision
from services.records.domain.standing import names
from services.records.identity import OwnIdentity
from services.records.metrics import GIVEN_BACK
from services.records.servicers.writer import Writer, refuse
from services.records.store.protocols.feed_log import FeedLog
from services.records.store.unit_of_work import Known, Plan, Touch
from services.runtime.rpc.call import Call, current_call

MOST = 500
"""Records, and laboratories, in one request."""


class RestorationServicer:
    """Serves hutong.records.v1.RestorationService."""

    def __init__(self, log: FeedLog, writer: Writer, identity: OwnIdentity) -> None:
        self._log = log
        self._writer = writer
        self._identity = identity
        self._given_back = GIVEN_BACK.labels(writer.name)

    async def GiveBack(self, request: pb.GiveBackRequest) -> pb.GiveBackResponse:
        """Takes back what this store lost. Raises InvalidArgument, FailedPrecondition (REGION_NOT_KEPT) and Unavailable
        (FEED_CHANGED)."""
        region = next((one.revisions[0].region for one in request.records if one.revisions), "")
        refuse(self._violations(request), region, "records[0].revisions[0].region")
        feed_id = (await self._log.head()).feed_id
        if request.feed_id != feed_id:
            raise Unavailable(
                FEED_CHANGED,
                f"本库的变更流是 {feed_id}，不是所指的 {shown_text(request.feed_id)}",
                f"The feed of this store is {feed_id}, not {shown_text(request.feed_id)}",
                {"feed_id": feed_id, "meant": shown_text(request.feed_id)},
            )
        keys = [_key(record.revisions[-1]) for record in request.records]
        call = current_call()
        count = 0

        def decide(known: Known) -> Plan:
            nonlocal count
            holdings = Holdings(known.histories, known.others)
            given = GivenBack(holdings)
            for record in request.records:
                given.record(record.revisions, call.caller)
            kept_by = [given.laboratory(one.revisions, known.laboratories) for one in request.laboratories]
            count = len(holdings.revisions) + len(given.laboratories)

            def answer(committed: Instant) -> bytes:
                standing = dict(known.laboratories)
                standing.update((new.name, new.stamped(committed)) for new in given.laboratories)
                return pb.GiveBackResponse(
                    records=[_history(holdings.of(key.id, key.person_key), committed, call) for key in keys],
                    laboratories=[standing[name] for name in kept_by],
                ).SerializeToString()

            return Plan(answer, holdings.revisions, given.laboratories, conflicts=given.conflicts, moved=holdings.moved)

        touch = Touch(
            {key.id: key.person_key for key in reversed(keys)},
            laboratories=sorted({n for one in request.laboratories for n in _names(one.revisions[-1])}),
            others=keys,
        )
        response = pb.GiveBackResponse.FromString(await self._writer.commit(touch, decide))
        self._given_back.inc(count)
        response.identity.CopyFrom(self._identity.of_feed(feed_id))
        return response

    def _violations(self, request: pb.GiveBackRequest) -> list[Violation]:
        found: list[Violation] = []
        if not request.feed_id:
            found += violation("feed_id", "FEED_ID_REQUIRED", "须指明变更流", "The feed is required")
        for field, items in (("records", request.records), ("laboratories", request.laboratories)):
            if len(items) > MOST:
                found += violation(field, "BATCH_SIZE", f"最多{MOST}项", f"At most {MOST}")
        for number, record in enumerate(request.records):
            found += self._record_violations(record.revisions, f"records[{number}].revisions")
        for number, laboratory in enumerate(request.laboratories):
            field = f"laboratories[{number}].revisions"
            if len({(one.region, one.laboratory) for one in laboratory.revisions}) != 1:
                found += violation(field, "NOT_ONE_HISTORY", "须为同一机构的版本", "Revisions of one laboratory")
            else:
                found += self._writer.region_violations(laboratory.revisions[0].region, f"{field}[0].region")
        return found

    def _record_violations(self, revisions: Sequence[TestRecord], field: str) -> list[Violation]:
        if len({_key(revision) for revision in revisions}) != 1:
            return violation(
                field, "NOT_ONE_HISTORY", "须为同一人同一记录的版本", "Revisions of one record of one person"
            )
        numbers = [revision.revision for revision in revisions]
        if numbers[0] < 1 or numbers != sorted(set(numbers)):
            return violation(field, "REVISION_ORDER", "版本须由旧到新", "Revisions are in order, oldest first")
        if len(revisions[0].person_key) != PERSON_KEY_BYTES:
            return violation(f"{field}[0].person_key", "PERSON_KEY_LENGTH", "人员标识应为16字节", "It has 16 bytes")
        if not all(revision.HasField("recorded_at") for revision in revisions):
            return violation(field, "RECORDED_AT_REQUIRED", "须有入库时刻", "Each says when it was recorded")
        writers = {revision.written_by for revision in revisions}
        if found := [one for writer in writers for one in fields.writer(writer, f"{field}.written_by")]:
            return found
        return self._writer.region_violations(revisions[0].region, f"{field}[0].region")


def _key(record: TestRecord) -> PersonRecord:
    return PersonRecord(record.person_key, RecordId(record.region, record.source_id))


def _names(laboratory: Laboratory) -> Sequence[str]:
    return names(laboratory.laboratory, laboratory.region)


def _history(history: History, committed: Instant, call: Call) -> pb.RecordHistory:
    return pb.RecordHistory(revisions=[_message(revision, committed, call) for revision in history])


def _message(revision: StoredRevision, committed: Instant, call: Call) -> TestRecord:
    message = revision.message()
    if not message.HasField("recorded_at"):
        message.MergeFromString(stamp(committed, call.proven_name))
    return message
