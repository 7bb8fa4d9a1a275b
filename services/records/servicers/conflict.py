"""Serves ConflictService over a store."""

from collections.abc import Sequence

from hutong.records.v1 import conflict_service_pb2 as pb
from hutong.records.v1.record_pb2 import RecordContent, RevisionAction, TestRecord

from services.common.instants import to_timestamp
from services.common.requests import fields
from services.common.requests.paging import digest_of, page_size, read_token, write_token
from services.common.requests.violations import violation
from services.records.domain import conflicts
from services.records.domain.conflicts import Settled, StoredConflict, conflict_not_found
from services.records.domain.holders import Holdings
from services.records.domain.revisions import PersonRecord
from services.records.identity import OwnIdentity
from services.records.servicers.writer import Writer, refuse, request_key
from services.records.store.protocols.conflict_log import ConflictLog
from services.records.store.protocols.histories import RecordHistories
from services.records.store.unit_of_work import Known, Plan, Touch
from services.runtime.rpc.call import current_call

_settlement = fields.enumerated(pb.Settlement.values(), "SETTLEMENT", "处理方式", "settlement")


class ConflictServicer:
    """Serves hutong.records.v1.ConflictService."""

    def __init__(self, log: ConflictLog, histories: RecordHistories, writer: Writer, identity: OwnIdentity) -> None:
        self._log = log
        self._histories = histories
        self._identity = identity
        self._writer = writer

    async def ListConflicts(self, request: pb.ListConflictsRequest) -> pb.ListConflictsResponse:
        """Returns the conflicts of the store, a page at a time."""
        size = page_size(request.page_size)
        question = digest_of(request)
        after = read_token(request.page_token, question, int) if request.page_token else 0
        found = await self._log.conflicts(after, size + 1, request.settled_too)
        more = len(found) > size
        return pb.ListConflictsResponse(
            conflicts=[await self._message(conflict) for conflict in found[:size]],
            next_page_token=write_token(question, found[size - 1].number) if more else "",
        )

    async def SettleConflict(self, request: pb.SettleConflictRequest) -> pb.SettleConflictResponse:
        """Settles one. Raises NotFound (CONFLICT_NOT_FOUND) and FailedPrecondition (CONFLICT_SETTLED,
        CONFLICT_NOT_AMENDABLE, REVISION_MISMATCH)."""
        found = _settlement(request.settlement, "settlement") + fields.cause(request.cause)
        found += fields.request_id(request.request_id)
        if not request.conflict_id:
            found += violation("conflict_id", "CONFLICT_ID_REQUIRED", "须填写冲突编号", "The conflict's id is required")
        refuse(found)
        await self._identity.require(request.store)
        settled = Settled(request.conflict_id, request.settlement, request.cause, current_call().author)
        conflict = await self._one(request.conflict_id)
        record_id = conflict.id

        def decide(known: Known) -> Plan:
            holdings = Holdings(known.histories, known.others)
            how = conflicts.settle(
                known.conflict,
                settled,
                known.histories.get(record_id, ()),
                holdings,
                not self._writer.region_violations(record_id.region),
            )
            return Plan(lambda _: b"", holdings.revisions, settled=how, moved=holdings.moved)

        touch = Touch(
            {record_id: None},
            request=request_key(request, request.request_id),
            conflict=request.conflict_id,
            others=[PersonRecord(conflict.person_key, record_id)],
        )
        await self._writer.commit(touch, decide)
        return pb.SettleConflictResponse(conflict=await self._message(await self._one(request.conflict_id)))

    async def _one(self, conflict_id: str) -> StoredConflict:
        known: StoredConflict | None = None

        def decide(found: Known) -> Plan:
            nonlocal known
            known = found.conflict
            return Plan(lambda _: b"")

        await self._writer.commit(Touch(conflict=conflict_id), decide)
        if known is None:
            raise conflict_not_found()
        return known

    async def _message(self, conflict: StoredConflict) -> pb.Conflict:
        return _message(conflict, await self._histories.history(conflict.id))


def _message(conflict: StoredConflict, history: Sequence[bytes]) -> pb.Conflict:
    return pb.Conflict(
        conflict_id=conflict.conflict_id,
        region=conflict.region,
        source_id=conflict.source_id,
        revision=conflict.revision,
        reason=conflict.reason,
        person_key=conflict.person_key,
        offered=RecordContent.FromString(conflict.content),
        offered_by=conflict.offered_by,
        first_offered_at=to_timestamp(conflict.first_at),
        last_offered_at=to_timestamp(conflict.last_at),
        times=conflict.times,
        settlement=conflict.settlement,  # type: ignore[arg-type]  # the number is the contract's
        cause=conflict.cause,
        settled_by=conflict.settled_by,
        settled_at=None if conflict.settled_at is None else to_timestamp(conflict.settled_at),
        stored=_stored(conflict, [TestRecord.FromString(body) for body in history]),
    )


def _stored(conflict: StoredConflict, history: Sequence[TestRecord]) -> RecordContent | None:
    """Returns what stays where what is stored is kept: what a contested revision contradicts, or the newest."""
    if not history or history[-1].action == RevisionAction.REVISION_ACTION_RETRACTED:
        return None
    if history[-1].action == RevisionAction.REVISION_ACTION_CONTESTED:
        contradicted = (record for record in history if record.revision == conflict.revision)
        return next(contradicted, history[-1]).content
    return history[-1].content
