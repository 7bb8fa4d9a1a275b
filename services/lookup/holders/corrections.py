"""Carries what people find wrong to the store that keeps the record, and brings back what was answered."""

import asyncio
from collections.abc import Mapping, Sequence

from hutong.common.v1.subject_pb2 import Purpose, Subject
from hutong.lookup.v1.evidence_service_pb2 import SourceCoverage
from hutong.lookup.v1.holder_service_pb2 import RequestCorrectionRequest
from hutong.records.v1 import correction_service_pb2 as pb

from services.common.errors import FailedPrecondition, ServiceError
from services.common.instants import from_timestamp
from services.common.regions import NATION
from services.lookup.evidence.identities import SourceIdentities
from services.lookup.evidence.source_answers import OK, UNREACHABLE
from services.lookup.ports import CorrectionStore
from services.lookup.store.protocol import HolderStore
from services.runtime.rpc.call import enter, leave, within


class Corrections:
    """Asks the stores of a mesh, by region and "nation", which keeps the records of regions that are not on the mesh.
    A store that is not the one meant keeps nothing. `seconds` is how long one may take to list."""

    def __init__(
        self,
        holders: HolderStore,
        stores: Mapping[str, CorrectionStore],
        identities: SourceIdentities,
        seconds: float,
    ) -> None:
        self._holders = holders
        self._stores = dict(stores)
        self._identities = identities
        self._seconds = seconds

    async def request(
        self, key: bytes, request: RequestCorrectionRequest, purpose: Purpose.ValueType
    ) -> pb.RequestCorrectionResponse:
        """Puts a person's request into the queue of the record's laboratory. Raises FailedPrecondition
        (REGION_NOT_ON_MESH) where nobody keeps that region's records, and what the store raises."""
        name = request.region if request.region in self._stores else NATION
        store = self._stores.get(name)
        if store is None:
            raise FailedPrecondition(
                "REGION_NOT_ON_MESH",
                "该地区未接入，无法写入",
                "The region has no store on the mesh to write to",
                {"region": request.region},
            )
        expected = self._identities.expected(name)
        response = await store.RequestCorrection(
            pb.RequestCorrectionRequest(
                region=request.region,
                source_id=request.source_id,
                subjects=await self._documents(key),
                kind=request.kind,
                text=request.text,
                purpose=purpose,
                request_id=request.request_id.lower(),
                store=expected.message(),
            )
        )
        expected.check(response.identity)
        return response

    async def listed(
        self, key: bytes, purpose: Purpose.ValueType
    ) -> tuple[Sequence[pb.CorrectionRequest], Sequence[SourceCoverage]]:
        """Returns what a person asked to have corrected, newest first, and which stores answered."""
        subjects = await self._documents(key)
        request = pb.ListHolderCorrectionRequestsRequest(subjects=subjects, purpose=purpose)
        answers = await asyncio.gather(*(self._ask(name, store, request) for name, store in self._stores.items()))
        requests = [one for answered, _ in answers for one in answered]
        requests.sort(key=lambda one: from_timestamp(one.requested_at), reverse=True)
        return requests, [coverage for _, coverage in answers]

    async def _ask(
        self, name: str, store: CorrectionStore, request: pb.ListHolderCorrectionRequestsRequest
    ) -> tuple[Sequence[pb.CorrectionRequest], SourceCoverage]:
        entered = enter(within(self._seconds))
        try:
            response = await store.ListHolderCorrectionRequests(request)
            self._identities.expected(name).check(response.identity)
        except ServiceError as error:
            return [], SourceCoverage(source=name, status=UNREACHABLE, reason=error.reason)
        finally:
            leave(entered)
        return response.correction_requests, SourceCoverage(source=name, status=OK)

    async def _documents(self, key: bytes) -> list[Subject]:
        """Returns every document of a person, the one that was shown first."""
        person = (await self._holders.people([key])).people.get(key)
        others = () if person is None else (other for other in person.keys if other != key)
        return [Subject(person_key=one) for one in (key, *others)]
