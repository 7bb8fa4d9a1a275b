"""hutong.lookup.v1.EvidenceService."""

import time
from collections.abc import Sequence

from hutong.common.v1.subject_pb2 import Purpose
from hutong.lookup.v1.evidence_service_pb2 import (
    BatchGetEvidenceRequest,
    BatchGetEvidenceResponse,
    GetEvidenceRequest,
    GetEvidenceResponse,
)
from hutong.lookup.v1.region_pb2 import Scope

from services.common.documents import PersonKeys
from services.lookup.evidence.gatherer import Gatherer
from services.lookup.evidence.questions import EvidenceQuestion
from services.lookup.identity import OwnIdentity
from services.lookup.servicers import questions
from services.runtime.limits.unknown_persons import is_unknown
from services.runtime.resilience.coalescer import Coalescer
from services.runtime.rpc.call import count_unknown, current_call
from services.runtime.telemetry.trace import current_span

_Group = tuple[Purpose.ValueType, int, bool]


class EvidenceServicer:
    """Evidence for one or many. Single questions of one moment travel as one batch."""

    def __init__(self, keys: PersonKeys, gatherer: Gatherer, identity: OwnIdentity, patience: float) -> None:
        """`patience` is what one source may take at the most, in seconds."""
        self._keys = keys
        self._gatherer = gatherer
        self._identity = identity
        self._plenty = 4 * patience
        self._coalescer: Coalescer[_Group, EvidenceQuestion, GetEvidenceResponse] = Coalescer(self._send)

    async def GetEvidence(self, request: GetEvidenceRequest) -> GetEvidenceResponse:
        """See the contract."""
        call = current_call()
        question = questions.one(request.query, self._keys, call.deadline)
        here = current_span()
        if here is not None:
            here.set(region=question.region)
        response = await self._coalescer.ask(
            # What is asked about the past waits for its turn, and nothing else with it.
            (call.purpose, self._haste(call.deadline), question.known_at is not None),
            question,
        )
        if is_unknown([response.evidence]):
            count_unknown(1)
        if here is not None:
            here.set(scope=_scope_name(response.evidence.scope))
        return response

    async def BatchGetEvidence(self, request: BatchGetEvidenceRequest) -> BatchGetEvidenceResponse:
        """See the contract. One wrong query refuses the batch: there is no error of a single item."""
        call = current_call()
        asked = questions.many(request.queries, self._keys, call.deadline)
        here = current_span()
        if here is not None:
            here.set(queries=len(asked))
        response = BatchGetEvidenceResponse()
        add = response.evidence.add
        await self._gatherer.fill(call.purpose, asked, [add() for _ in asked])
        response.identity.CopyFrom(await self._identity.now())
        count_unknown(sum(is_unknown([evidence]) for evidence in response.evidence))
        return response

    async def _send(self, group: _Group, asked: Sequence[EvidenceQuestion]) -> Sequence[GetEvidenceResponse]:
        responses = [GetEvidenceResponse() for _ in asked]
        await self._gatherer.fill(group[0], asked, [response.evidence for response in responses])
        identity = await self._identity.now()
        for response in responses:
            response.identity.CopyFrom(identity)
        return responses

    def _haste(self, deadline: float) -> int:
        """Returns the group that a question travels with: all who have plenty of time, else those with about as much (a
        factor of 2).

        A batch ends before its earliest deadline, so that each question still gets the answers there are.
        """
        left = deadline - time.monotonic()
        return -1 if left >= self._plenty else int(left * 1000).bit_length()


def _scope_name(scope: Scope.ValueType) -> str:
    return Scope.Name(scope).removeprefix("SCOPE_")
