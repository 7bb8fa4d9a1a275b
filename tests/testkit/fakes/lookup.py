"""A lookup service that answers from memory."""

import asyncio

from hutong.lookup.v1 import evidence_service_pb2 as ev
from hutong.lookup.v1.region_pb2 import Scope
from hutong.records.v1 import record_pb2 as rec

from services.common.errors import ServiceError
from tests.testkit.identities import lookup_identity


class FakeLookup:
    """Keeps evidence by person and remembers every batch it was asked."""

    def __init__(self) -> None:
        self.records: dict[bytes, list[rec.TestRecord]] = {}
        self.batches: list[ev.BatchGetEvidenceRequest] = []
        self.error: ServiceError | None = None
        self.silent: set[str] = set()
        self.identity = lookup_identity()

    async def BatchGetEvidence(self, request: ev.BatchGetEvidenceRequest) -> ev.BatchGetEvidenceResponse:
        self.batches.append(request)
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        return ev.BatchGetEvidenceResponse(
            evidence=[self._evidence(query) for query in request.queries], identity=self.identity
        )

    def _evidence(self, query: ev.EvidenceQuery) -> ev.Evidence:
        key = query.subject.person_key
        return ev.Evidence(
            region=query.region,
            scope=query.scope or Scope.SCOPE_NATIONAL,
            person_keys=[key],
            records=self.records.get(key, []),
            coverage=[
                ev.SourceCoverage(source=source, status=2 if source in self.silent else 1)  # type: ignore[arg-type]
                for source in ("nation", query.region)
            ],
        )
