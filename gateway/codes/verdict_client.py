"""Verdicts that must be computed, asked for in batches."""

from collections.abc import Sequence

from hutong.common.v1.subject_pb2 import Purpose, Subject
from hutong.verdict.v1.verdict_service_pb2 import BatchComputeVerdictsRequest, VerdictOutcome, VerdictQuery

from gateway.application.admission import Question
from gateway.ports import VerdictSource
from services.common.instants import to_timestamp
from services.common.requests.batches import MOST_IN_BATCH
from services.runtime.resilience.coalescer import Coalescer


class VerdictClient:
    """Asks the verdict service. Questions asked one at a time in one moment travel together, by purpose."""

    def __init__(self, verdicts: VerdictSource) -> None:
        self._verdicts = verdicts
        self._coalescer: Coalescer[Purpose.ValueType, VerdictQuery, VerdictOutcome] = Coalescer(self._send)

    async def compute(self, questions: Sequence[Question], purpose: Purpose.ValueType) -> Sequence[VerdictOutcome]:
        """The outcomes in order; what their questions asked together travels as one. Raises ServiceError."""
        queries = [_query(question) for question in questions]
        if len(queries) == 1:
            return [await self._coalescer.ask(purpose, queries[0])]
        outcomes: list[VerdictOutcome] = []
        for start in range(0, len(queries), MOST_IN_BATCH):
            outcomes += await self._send(purpose, queries[start : start + MOST_IN_BATCH])
        return outcomes

    async def _send(self, purpose: Purpose.ValueType, queries: Sequence[VerdictQuery]) -> Sequence[VerdictOutcome]:
        request = BatchComputeVerdictsRequest(queries=queries, purpose=purpose)
        response = await self._verdicts.BatchComputeVerdicts(request)
        if len(response.outcomes) != len(queries):
            raise RuntimeError("the verdict service answered another number of questions than were asked")
        return response.outcomes


def _query(question: Question) -> VerdictQuery:
    return VerdictQuery(
        subject=Subject(person_key=question.person),
        region=question.region,
        scope=question.scope,
        at=None if question.at is None else to_timestamp(question.at),
        known_at=None if question.known_at is None else to_timestamp(question.known_at),
    )
