"""Verdicts that must be computed, asked for in batches."""

from collections.abc import Sequence

from hutong.common.v1.subject_pb2 import Purpose, Subject
from hutong.verdict.v1.verdict_service_pb2 import BatchComputeVerdictsRequest, VerdictOutcome, VerdictQuery

from gateway.codes.judges import Judges
from gateway.codes.query import CodeQuery
from gateway.ports import VerdictSource
from services.common.instants import to_timestamp
from services.common.requests.batches import MOST_IN_BATCH
from services.runtime.clock import Clock, system_clock
from services.runtime.resilience.coalescer import Coalescer


class VerdictClient:
    """Asks the verdict service. Queries that come one at a time in one moment travel together, by purpose."""

    def __init__(self, verdicts: VerdictSource, clock: Clock = system_clock) -> None:
        self._verdicts = verdicts
        self._clock = clock
        self._judges = Judges()
        self._coalescer: Coalescer[Purpose.ValueType, VerdictQuery, VerdictOutcome] = Coalescer(self._send)

    async def compute(self, queries: Sequence[CodeQuery], purpose: Purpose.ValueType) -> Sequence[VerdictOutcome]:
        """Returns the outcomes in order; queries that come together travel as one. Raises ServiceError."""
        messages = [_message(query) for query in queries]
        if len(messages) == 1:
            return [await self._coalescer.ask(purpose, messages[0])]
        outcomes: list[VerdictOutcome] = []
        for start in range(0, len(messages), MOST_IN_BATCH):
            outcomes += await self._send(purpose, messages[start : start + MOST_IN_BATCH])
        return outcomes

    async def _send(self, purpose: Purpose.ValueType, queries: Sequence[VerdictQuery]) -> Sequence[VerdictOutcome]:
        request = BatchComputeVerdictsRequest(queries=queries, purpose=purpose)
        asked_at = self._clock()
        response = await self._verdicts.BatchComputeVerdicts(request)
        self._judges.see(response.judge, asked_at, self._clock())
        if len(response.outcomes) != len(queries):
            raise RuntimeError("the verdict service gave another number of outcomes than there were queries")
        return response.outcomes


def _message(query: CodeQuery) -> VerdictQuery:
    return VerdictQuery(
        subject=Subject(person_key=query.person),
        region=query.region,
        scope=query.scope,
        at=None if query.at is None else to_timestamp(query.at),
        known_at=None if query.known_at is None else to_timestamp(query.known_at),
        scene=query.scene,
        date_of_birth=query.born,
    )
