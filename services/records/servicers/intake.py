"""Serves RecordIntakeService: of the batches of a stream one is committed while the next is judged, and no more."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from functools import partial

from hutong.records.v1.intake_service_pb2 import ListedRow, StreamRecordsRequest, StreamRecordsResponse
from hutong.records.v1.record_write_service_pb2 import SubmitOutcome

from services.common.documents import PersonKeys
from services.common.errors import Violation, invalid
from services.common.requests import fields
from services.common.requests.batches import check_batch
from services.records.domain.intake import Judge, Judged, claims, decide_batch
from services.records.domain.revisions import History
from services.records.identity import OwnIdentity
from services.records.metrics import INTAKE_SESSIONS, SUBMITTED
from services.records.servicers.writer import Writer, is_others
from services.records.store.protocols.intake_sessions import IntakeSessions
from services.records.store.unit_of_work import BatchKey, Known, Plan, Touch
from services.runtime.rpc.access import laboratory_denied
from services.runtime.rpc.call import current_call
from services.runtime.rpc.errors import to_violations

MOST_ROWS = 5_000

AT_ONCE = 250
"""How many rows are judged before the event loop gets its turn: two or three milliseconds' worth."""

_OUTCOMES = {number: name.removeprefix("SUBMIT_OUTCOME_") for name, number in SubmitOutcome.items()}
_CREATED = SubmitOutcome.SUBMIT_OUTCOME_CREATED


@dataclass(frozen=True, slots=True)
class _Prepared:
    key: BatchKey
    rows: Sequence[Judged]


class IntakeServicer:
    """Serves hutong.records.v1.RecordIntakeService. `skew` is in microseconds, see validation.DEFAULT_SKEW."""

    def __init__(
        self, sessions: IntakeSessions, writer: Writer, identity: OwnIdentity, keys: PersonKeys, skew: int
    ) -> None:
        self._kept = sessions
        self._identity = identity
        self._writer = writer
        self._judge = Judge(keys, writer.region_violations, skew)
        self._sessions = INTAKE_SESSIONS.labels(writer.name)

    async def StreamRecords(
        self, requests: AsyncIterator[StreamRecordsRequest]
    ) -> AsyncIterator[StreamRecordsResponse]:
        """Yields where the session stands, then an acknowledgement of each batch after its commit.

        Raises InvalidArgument (SESSION_ID_FORMAT, OPENING_REQUIRED, BATCH_ORDER, BATCH_SIZE), FailedPrecondition
        (BATCH_GAP), Unavailable (WRONG_STORE, OTHER_SECRET, FEED_CHANGED) where another store is meant.
        """
        opening = await anext(requests)
        session = _session(opening)
        await self._identity.require(opening.store)
        with self._sessions.track_inprogress():
            batches = await self._kept.batches(session)
            yield StreamRecordsResponse(batch=batches, identity=await self._identity.now())
            committing: asyncio.Task[StreamRecordsResponse] | None = None
            preparing: asyncio.Task[_Prepared | None] | None = None
            ready: _Prepared | None = None
            last, ended = 0, False
            try:
                while True:
                    if ready is not None and committing is None:
                        committing, ready = asyncio.create_task(self._commit(ready)), None
                    if ready is None and preparing is None and not ended:
                        preparing = asyncio.create_task(self._prepare(session, last, requests))
                    under_way = {task for task in (committing, preparing) if task is not None}
                    if not under_way:
                        return
                    await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
                    if committing is not None and committing.done():
                        acknowledged, committing = committing.result(), None
                        yield acknowledged
                    elif preparing is not None and preparing.done():
                        if committing is not None and preparing.exception() is not None:
                            # What is wrong as a whole ends the stream, after what came before it was acknowledged.
                            acknowledged, committing = await committing, None
                            yield acknowledged
                        ready, preparing = preparing.result(), None
                        ended = ready is None
                        last = last if ready is None else ready.key.batch
            finally:
                if preparing is not None:
                    preparing.cancel()
                if committing is not None:
                    # Whoever listened is gone. What is being committed is true either way, and idempotent.
                    await asyncio.wait({committing})

    async def _prepare(
        self, session: str, last: int, requests: AsyncIterator[StreamRecordsRequest]
    ) -> _Prepared | None:
        request = await anext(requests, None)
        if request is None:
            return None
        if request.batch != last + 1 if last else request.batch < 1:
            raise invalid("batch", "BATCH_ORDER", "批次须连续编号", "Batches are numbered one after another")
        count = len(request.submissions)
        check_batch(count, "submissions", MOST_ROWS)
        now = self._writer.clock()
        rows: list[Judged] = []
        for start in range(0, count, AT_ONCE):
            if start:
                await asyncio.sleep(0)
            rows += self._judge.judge(request.submissions[start : start + AT_ONCE], now)
        return _Prepared(BatchKey(session, request.batch), rows)

    async def _commit(self, batch: _Prepared) -> StreamRecordsResponse:
        rows = batch.rows
        touched = claims(rows)
        caller = current_call().caller

        def decide(known: Known) -> Plan:
            outcome = decide_batch(rows, len(touched), known.histories, caller, partial(_denied, caller))
            response = StreamRecordsResponse(
                batch=batch.key.batch,
                created=outcome.created,
                rows=[
                    ListedRow(
                        row=listed.row,
                        outcome=listed.outcome,
                        revision=listed.revision,
                        violations=to_violations(tuple(listed.violations)),
                    )
                    for listed in outcome.listed
                ],
            )
            answer = response.SerializeToString()
            return Plan(lambda _: answer, outcome.further, firsts=outcome.firsts, conflicts=outcome.conflicts)

        touch = Touch(touched, batch=batch.key)
        response = StreamRecordsResponse.FromString(await self._writer.commit(touch, decide))
        self._count(_CREATED, response.created)
        for row in response.rows:
            self._count(row.outcome, 1)
        return response

    def _count(self, outcome: SubmitOutcome.ValueType, count: int) -> None:
        if count:
            SUBMITTED.labels(self._writer.name, _OUTCOMES[outcome]).inc(count)


def _denied(caller: str, history: History) -> Sequence[Violation]:
    return laboratory_denied("source_id").violations if is_others(history, caller) else ()


def _session(opening: StreamRecordsRequest) -> str:
    """Returns the session a stream opens, within its caller's own. Raises InvalidArgument."""
    if not opening.session_id or fields.request_id(opening.session_id):
        raise invalid("session_id", "SESSION_ID_FORMAT", "会话编号应为UUID", "A session's id is a UUID")
    if opening.batch or opening.submissions:
        raise invalid("batch", "OPENING_REQUIRED", "首条消息只打开会话", "The first message opens the session alone")
    return f"{current_call().caller}/{opening.session_id.lower()}"
