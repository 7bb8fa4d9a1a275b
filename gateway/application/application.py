"""The application behind both transports: what a health-code client may ask, once its person is known."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from hutong.common.v1.subject_pb2 import Document, Purpose, Subject
from hutong.gateway.v1.health_code_service_pb2 import (
    CheckDestinationsRequest,
    ClaimResultRequest,
    ClaimResultResponse,
    DestinationView,
    HealthCodeQuery,
    ListRegionsRequest,
    ListRegionsResponse,
    ListResultsRequest,
    ListResultsResponse,
    SwitchScopeRequest,
    SwitchScopeResponse,
)
from hutong.lookup.v1 import holder_service_pb2, region_directory_service_pb2
from hutong.lookup.v1.evidence_service_pb2 import BatchGetEvidenceRequest, EvidenceQuery
from hutong.lookup.v1.evidence_service_pb2 import Evidence as EvidenceMessage
from hutong.lookup.v1.region_pb2 import Region, Scope

from gateway.application import results
from gateway.application.admission import Admission
from gateway.application.corrections import Corrections
from gateway.application.directory import Directory
from gateway.codes.codes import Codes, Shown
from gateway.codes.policy_digests import PolicyDigests
from gateway.codes.query import CodeQuery
from gateway.ports import Evidence, Holders, Regions
from services.common.birth_dates import born_text
from services.common.errors import InvalidArgument, NotFound, ServiceError, Violation
from services.common.requests import checks, fields
from services.common.requests.batches import MOST_IN_BATCH, check_batch
from services.common.requests.instants import read_instant
from services.common.requests.violations import Violations, violation
from services.runtime.limits.unknown_persons import is_unknown
from services.runtime.rpc.call import count_unknown


def _results(person: bytes, evidence: Sequence[EvidenceMessage], size: int, token: str) -> ListResultsResponse:
    shown, following = results.page(results.views(evidence), person, size, token)
    return ListResultsResponse(
        results=shown,
        coverage=results.coverage(evidence),
        next_page_token=following,
        laboratories=results.laboratories(shown, evidence),
    )


_VIEWS = frozenset(DestinationView.values())


def _unseen(query: CodeQuery, shown: Shown, purpose: Purpose.ValueType) -> None:
    pass


class Destination(NamedTuple):
    """A region, and the code there."""

    region: Region
    code: Shown | ServiceError


class Application:
    """Answers both transports. Every method raises ServiceError."""

    def __init__(
        self,
        admission: Admission,
        codes: Codes,
        policies: PolicyDigests,
        *,
        evidence: Evidence,
        holders: Holders,
        regions: Regions,
        shows: Callable[[CodeQuery, Shown, Purpose.ValueType], None] = _unseen,
    ) -> None:
        """`shows` is told of every code that is shown where its holder stands."""
        self.admission = admission
        self.codes = codes
        self.corrections = Corrections(admission, holders)
        self._policies = policies
        self._evidence = evidence
        self._holders = holders
        self._regions = regions
        self._directory = Directory(regions)
        self._shows = shows

    async def show(self, query: CodeQuery, purpose: Purpose.ValueType) -> Shown:
        """Shows the code for one query."""
        shown = await self.codes.show(query, purpose)
        if shown.entry.unknown:
            count_unknown(1)
        self._shows(query, shown, purpose)
        return shown

    async def show_many(
        self, queries: Sequence[CodeQuery | ServiceError], purpose: Purpose.ValueType
    ) -> Sequence[Shown | ServiceError]:
        """Shows the codes for many queries, in order; one that was not admitted keeps its error."""
        admitted = [query for query in queries if isinstance(query, CodeQuery)]
        shown = await self._codes_of(admitted, purpose)
        for query, one in zip(admitted, shown, strict=True):
            if isinstance(one, Shown):
                self._shows(query, one, purpose)
        codes = iter(shown)
        return [next(codes) if isinstance(query, CodeQuery) else query for query in queries]

    async def _codes_of(
        self, queries: Sequence[CodeQuery], purpose: Purpose.ValueType
    ) -> Sequence[Shown | ServiceError]:
        shown = await self.codes.show_many(queries, purpose)
        answered = zip(queries, shown, strict=True)
        count_unknown(len({query.person for query, one in answered if isinstance(one, Shown) and one.entry.unknown}))
        return shown

    def admit_many(
        self, queries: Sequence[HealthCodeQuery], prior: Sequence[Sequence[Violation]] = ()
    ) -> Sequence[CodeQuery | ServiceError]:
        """Admits the queries of a batch, or tells why one cannot be; `prior` has for each what was found wrong before.
        Raises InvalidArgument (BATCH_SIZE)."""
        check_batch(len(queries), "queries")
        admitted: list[CodeQuery | ServiceError] = []
        for index, query in enumerate(queries):
            try:
                admitted.append(self.admission.query(query, f"queries[{index}].", prior[index] if prior else ()))
            except InvalidArgument as error:
                admitted.append(error)
        return admitted

    async def destinations(
        self, request: CheckDestinationsRequest, purpose: Purpose.ValueType, prior: Sequence[Violation] = ()
    ) -> Sequence[Destination]:
        """Shows the code in each of the regions asked about, in order, or in every region that has a policy."""
        violations = Violations(prior)
        person = violations.read(b"", lambda: self.admission.person(request.document))
        at = violations.read(None, lambda: read_instant(request.at, "at")) if request.HasField("at") else None
        regions: Sequence[str] = request.regions
        if regions:
            violations.read(None, lambda: check_batch(len(regions), "regions"))
        for index, code in enumerate(regions):
            violations.add(fields.region(code, f"regions[{index}]"))
        violations.add(checks.scene(request.scene))
        if request.view not in _VIEWS:
            violations.add(violation("view", "VIEW_UNKNOWN", "详略应为 BASIC 或 FULL", "The view is BASIC or FULL"))
        violations.refuse()
        born = born_text(request.document)
        regions = regions or await self._policies.regions()
        directory = await self._directory.all()
        queries = [CodeQuery(person, region, at=at, scene=request.scene, born=born) for region in regions]
        shown = await self._codes_of(queries, purpose)
        return [
            Destination(directory.get(region) or Region(region=region), code)
            for region, code in zip(regions, shown, strict=True)
        ]

    async def results(self, request: ListResultsRequest, purpose: Purpose.ValueType) -> ListResultsResponse:
        """Lists the person's results, from the nation and from every region's own store: what a region has just
        recorded may not have reached the nation yet."""
        person = self.admission.person(request.document)
        ((_, evidence),) = await self._everywhere([person], purpose)
        return _results(person, evidence, request.page_size, request.page_token)

    async def results_of_many(
        self, documents: Sequence[Document], purpose: Purpose.ValueType
    ) -> Sequence[ListResultsResponse | ServiceError]:
        """Lists the first page of each person's results, in order, or tells why a document is wrong."""
        check_batch(len(documents), "documents")
        persons: list[bytes | ServiceError] = []
        for index, document in enumerate(documents):
            try:
                persons.append(self.admission.person(document, f"documents[{index}]"))
            except InvalidArgument as error:
                persons.append(error)
        asked = [person for person in persons if isinstance(person, bytes)]
        evidence = dict(await self._everywhere(asked, purpose))
        return [
            _results(person, evidence[person], 0, "") if isinstance(person, bytes) else person for person in persons
        ]

    async def _everywhere(
        self, persons: Sequence[bytes], purpose: Purpose.ValueType
    ) -> Sequence[tuple[bytes, Sequence[EvidenceMessage]]]:
        """Asks every region on the mesh, and the nation, for what they know of each person."""
        directory = await self._directory.all()
        regions = [code for code, region in directory.items() if region.on_mesh] or list(directory)[:1]
        gathered: list[tuple[bytes, Sequence[EvidenceMessage]]] = []
        at_once = MOST_IN_BATCH // len(regions)
        for start in range(0, len(persons), at_once):
            some = persons[start : start + at_once]
            queries = [
                EvidenceQuery(subject=Subject(person_key=person), region=region, scope=Scope.SCOPE_NATIONAL)
                for person in some
                for region in regions
            ]
            response = await self._evidence.BatchGetEvidence(BatchGetEvidenceRequest(queries=queries, purpose=purpose))
            each = len(regions)
            gathered += [(one, response.evidence[at * each : (at + 1) * each]) for at, one in enumerate(some)]
        count_unknown(len({one for one, evidence in gathered if is_unknown(evidence)}))
        return gathered

    async def claim(self, request: ClaimResultRequest, purpose: Purpose.ValueType) -> ClaimResultResponse:
        """Makes a result from elsewhere part of a region's record. What was cached about the person is gone when this
        returns, also when it fails, because it may have been done all the same."""
        violations = Violations()
        person = violations.read(b"", lambda: self.admission.person(request.document))
        violations.add(fields.region(request.region))
        violations.add(fields.request_id(request.request_id))
        violations.add(
            fields.origin(request.origin_region, request.origin_source_id)
            or fields.not_the_subjects(
                {"origin_source_id": request.origin_source_id}, Subject(document=request.document)
            )
        )
        violations.refuse()
        try:
            claimed = await self._holders.ClaimResult(
                holder_service_pb2.ClaimResultRequest(
                    subject=Subject(person_key=person),
                    region=request.region,
                    origin_region=request.origin_region,
                    origin_source_id=request.origin_source_id,
                    purpose=purpose,
                    request_id=request.request_id,
                )
            )
        except NotFound:
            count_unknown(1)
            raise
        finally:
            await self.codes.forget(person)
        return ClaimResultResponse(result=results.one(claimed.record), created=claimed.created)

    async def switch_scope(self, request: SwitchScopeRequest, purpose: Purpose.ValueType) -> SwitchScopeResponse:
        """Switches between the provincial and the national database; see `claim` about the cache."""
        violations = Violations()
        person = violations.read(b"", lambda: self.admission.person(request.document))
        violations.add(fields.region(request.region))
        violations.add(fields.request_id(request.request_id))
        violations.add(fields.scope(request.scope, required=True))
        violations.refuse()
        try:
            switched = await self._holders.SwitchScope(
                holder_service_pb2.SwitchScopeRequest(
                    subject=Subject(person_key=person),
                    region=request.region,
                    scope=request.scope,
                    purpose=purpose,
                    request_id=request.request_id,
                )
            )
        finally:
            await self.codes.forget(person)
        return SwitchScopeResponse(scope=switched.scope)

    async def regions(self, request: ListRegionsRequest) -> ListRegionsResponse:
        """Lists a page of the directory."""
        page = await self._regions.ListRegions(
            region_directory_service_pb2.ListRegionsRequest(page_size=request.page_size, page_token=request.page_token)
        )
        return ListRegionsResponse(regions=page.regions, next_page_token=page.next_page_token)
