"""The calls of the API by path: JSON to the contract's messages, and the application's answers to JSON."""

from collections.abc import Mapping, MutableSequence, Sequence

from hutong.gateway.v1 import certificate_pb2
from hutong.gateway.v1 import health_code_service_pb2 as pb
from hutong.gateway.v1.health_code_service_pb2 import DestinationView

from gateway.application.accesses import Accesses
from gateway.application.application import Application
from gateway.application.purpose_views import narrowed
from gateway.certificates.certificates import Certificates
from gateway.http.requests import bodies
from gateway.http.requests.decoder import Decoder
from gateway.http.requests.query import Query
from gateway.http.routing import ContractRoute, Incoming, Reply, Route
from gateway.http.views.accesses import accesses_response
from gateway.http.views.answer import Answer, encode
from gateway.http.views.batches import batch_show_response, destinations_response
from gateway.http.views.certificates import certificate_response, presentation_response, verification_response
from gateway.http.views.code import code_pieces
from gateway.http.views.corrections import correct_response, corrections_response
from gateway.http.views.passes import bundle_response, pass_response
from gateway.http.views.regions import regions_response
from gateway.http.views.results import batch_results_response, claim_response, results_response, switch_response
from gateway.passes.passes import Passes
from services.common.errors import ServiceError, Violation
from services.runtime.rpc.call import current_call

Violations = Sequence[Violation]

_CONTRACT = pb.DESCRIPTOR.services_by_name["HealthCodeService"].full_name
_NONE: Violations = ()


class Requests:
    """Makes the contract's messages out of JSON. Each method raises InvalidArgument, and returns besides what was found
    wrong with single fields, for the admission to name together with the others."""

    def __init__(self) -> None:
        self._show = Decoder(bodies.HealthCodeQuery, bodies.plain_fields)
        self._batch_show = Decoder(bodies.BatchShowRequest)
        self._destinations = Decoder(bodies.DestinationsRequest)
        self._results = Decoder(bodies.ResultsRequest)
        self._batch_results = Decoder(bodies.BatchResultsRequest)
        self._pass = Decoder(bodies.PassRequest)
        self._certificate = Decoder(bodies.CertificateRequest)
        self._verify = Decoder(bodies.VerifyRequest)
        self._present = Decoder(bodies.PresentRequest)
        self._claim = Decoder(bodies.ClaimRequest)
        self._switch = Decoder(bodies.SwitchRequest)
        self._correct = Decoder(bodies.CorrectRequest)
        self._corrections = Decoder(bodies.CorrectionsRequest)

    def show(self, incoming: Incoming) -> tuple[pb.ShowHealthCodeRequest, Violations]:
        """Reads POST /v1/healthCode:show."""
        request = pb.ShowHealthCodeRequest()
        request.purpose = incoming.purpose  # type: ignore[assignment]  # an open enum
        violations: list[Violation] = []
        self._show(incoming.body).fill(request.query, violations)
        return request, violations

    def batch_show(self, incoming: Incoming) -> tuple[pb.BatchShowHealthCodesRequest, Sequence[Violations]]:
        """Reads POST /v1/healthCode:batchShow; the violations are those of each query."""
        request = pb.BatchShowHealthCodesRequest()
        request.purpose = incoming.purpose  # type: ignore[assignment]  # an open enum
        violations: list[MutableSequence[Violation]] = []
        self._batch_show(incoming.body).fill(request, violations)
        return request, violations

    def destinations(self, incoming: Incoming) -> tuple[pb.CheckDestinationsRequest, Violations]:
        """Reads POST /v1/destinations:check."""
        request = pb.CheckDestinationsRequest()
        request.purpose = incoming.purpose  # type: ignore[assignment]  # an open enum
        violations: list[Violation] = []
        self._destinations(incoming.body).fill(request, violations)
        return request, violations

    def results(self, incoming: Incoming) -> tuple[pb.ListResultsRequest, Violations]:
        """Reads POST /v1/results:list."""
        request = pb.ListResultsRequest()
        request.purpose = incoming.purpose  # type: ignore[assignment]  # an open enum
        self._results(incoming.body).fill(request)
        return request, _NONE

    def batch_results(self, incoming: Incoming) -> tuple[pb.BatchListResultsRequest, Violations]:
        """Reads POST /v1/results:batchList."""
        request = pb.BatchListResultsRequest()
        request.purpose = incoming.purpose  # type: ignore[assignment]  # an open enum
        self._batch_results(incoming.body).fill(request)
        return request, _NONE

    def claim(self, incoming: Incoming) -> tuple[pb.ClaimResultRequest, Violations]:
        """Reads POST /v1/results:claim."""
        request = pb.ClaimResultRequest()
        request.purpose = incoming.purpose  # type: ignore[assignment]  # an open enum
        self._claim(incoming.body).fill(request)
        return request, _NONE

    def switch_scope(self, incoming: Incoming) -> tuple[pb.SwitchScopeRequest, Violations]:
        """Reads POST /v1/healthCode:switchScope."""
        request = pb.SwitchScopeRequest()
        request.purpose = incoming.purpose  # type: ignore[assignment]  # an open enum
        self._switch(incoming.body).fill(request)
        return request, _NONE

    def correct(self, incoming: Incoming) -> tuple[pb.RequestCorrectionRequest, Violations]:
        """Reads POST /v1/corrections:request."""
        request = pb.RequestCorrectionRequest()
        request.purpose = incoming.purpose  # type: ignore[assignment]  # an open enum
        self._correct(incoming.body).fill(request)
        return request, _NONE

    def corrections(self, incoming: Incoming) -> tuple[pb.ListHolderCorrectionRequestsRequest, Violations]:
        """Reads POST /v1/corrections:list."""
        request = pb.ListHolderCorrectionRequestsRequest()
        request.purpose = incoming.purpose  # type: ignore[assignment]  # an open enum
        self._corrections(incoming.body).fill(request)
        return request, _NONE

    def accesses(self, incoming: Incoming) -> tuple[pb.ListAccessesRequest, Violations]:
        """Reads the query of GET /v1/accesses."""
        request = pb.ListAccessesRequest()
        request.purpose = incoming.purpose  # type: ignore[assignment]  # an open enum
        _page(request, incoming)
        return request, _NONE

    def issue_pass(self, incoming: Incoming) -> tuple[pb.IssuePassRequest, Violations]:
        """Reads POST /v1/passes:issue."""
        request = pb.IssuePassRequest()
        request.purpose = incoming.purpose  # type: ignore[assignment]  # an open enum
        self._pass(incoming.body).fill(request)
        return request, _NONE

    def issue_certificate(self, incoming: Incoming) -> tuple[certificate_pb2.IssueCertificateRequest, Violations]:
        """Reads POST /v1/certificates:issue."""
        request = certificate_pb2.IssueCertificateRequest()
        request.purpose = incoming.purpose  # type: ignore[assignment]  # an open enum
        self._certificate(incoming.body).fill(request)
        return request, _NONE

    def verify_certificate(self, incoming: Incoming) -> tuple[certificate_pb2.VerifyCertificateRequest, Violations]:
        """Reads POST /v1/certificates:verify."""
        request = certificate_pb2.VerifyCertificateRequest()
        request.purpose = incoming.purpose  # type: ignore[assignment]  # an open enum
        violations: list[Violation] = []
        self._verify(incoming.body).fill(request, violations)
        return request, violations

    def present_certificate(self, incoming: Incoming) -> tuple[certificate_pb2.PresentCertificateRequest, Violations]:
        """Reads POST /v1/certificates:present."""
        request = certificate_pb2.PresentCertificateRequest()
        request.purpose = incoming.purpose  # type: ignore[assignment]  # an open enum
        self._present(incoming.body).fill(request)
        return request, _NONE

    def trust_bundle(self, incoming: Incoming) -> tuple[pb.GetTrustBundleRequest, Violations]:
        """Reads GET /v1/trustBundle."""
        return pb.GetTrustBundleRequest(), _NONE

    def regions(self, incoming: Incoming) -> tuple[pb.ListRegionsRequest, Violations]:
        """Reads the query of GET /v1/regions."""
        request = pb.ListRegionsRequest()
        _page(request, incoming)
        return request, _NONE


class Api:
    """Asks the application, and shows its answers as JSON."""

    def __init__(
        self, application: Application, accesses: Accesses, passes: Passes, certificates: Certificates
    ) -> None:
        self._application = application
        self._certificates = certificates
        self._passes = passes
        self._accesses = accesses

    async def show(self, violations: Violations, request: pb.ShowHealthCodeRequest) -> Reply:
        """Answers POST /v1/healthCode:show."""
        query = self._application.admission.query(request.query, "", violations)
        purpose = current_call().purpose
        shown = await self._application.show(query, purpose)
        start, kept = code_pieces(shown, purpose)
        # What is not kept ready is a view made for this call, and its own digest is as good.
        ready = kept is shown.entry.body
        return Reply(start, kept=kept, kept_digest=shown.entry.body_digest if ready else kept)

    async def batch_show(self, violations: Sequence[Violations], request: pb.BatchShowHealthCodesRequest) -> Reply:
        """Answers POST /v1/healthCode:batchShow."""
        purpose = current_call().purpose
        queries = self._application.admit_many(request.queries, violations)
        return _json(batch_show_response(await self._application.show_many(queries, purpose), purpose))

    async def destinations(self, violations: Violations, request: pb.CheckDestinationsRequest) -> Reply:
        """Answers POST /v1/destinations:check."""
        purpose = current_call().purpose
        destinations = await self._application.destinations(request, purpose, violations)
        full = request.view == DestinationView.DESTINATION_VIEW_FULL
        return _json(destinations_response(destinations, purpose, full=full))

    async def results(self, violations: Violations, request: pb.ListResultsRequest) -> Reply:
        """Answers POST /v1/results:list."""
        purpose = current_call().purpose
        return _json(results_response(narrowed(await self._application.results(request, purpose), purpose)))

    async def batch_results(self, violations: Violations, request: pb.BatchListResultsRequest) -> Reply:
        """Answers POST /v1/results:batchList."""
        purpose = current_call().purpose
        pages = await self._application.results_of_many(request.documents, purpose)
        seen = [page if isinstance(page, ServiceError) else narrowed(page, purpose) for page in pages]
        return _json(batch_results_response(seen))

    async def claim(self, violations: Violations, request: pb.ClaimResultRequest) -> Reply:
        """Answers POST /v1/results:claim."""
        purpose = current_call().purpose
        return _json(claim_response(narrowed(await self._application.claim(request, purpose), purpose)))

    async def switch_scope(self, violations: Violations, request: pb.SwitchScopeRequest) -> Reply:
        """Answers POST /v1/healthCode:switchScope."""
        purpose = current_call().purpose
        return _json(switch_response(narrowed(await self._application.switch_scope(request, purpose), purpose)))

    async def correct(self, violations: Violations, request: pb.RequestCorrectionRequest) -> Reply:
        """Answers POST /v1/corrections:request."""
        purpose = current_call().purpose
        kept = await self._application.corrections.request(request, purpose)
        return _json(correct_response(narrowed(kept, purpose)))

    async def corrections(self, violations: Violations, request: pb.ListHolderCorrectionRequestsRequest) -> Reply:
        """Answers POST /v1/corrections:list."""
        purpose = current_call().purpose
        listed = await self._application.corrections.listed(request, purpose)
        return _json(corrections_response(narrowed(listed, purpose)))

    async def accesses(self, violations: Violations, request: pb.ListAccessesRequest) -> Reply:
        """Answers GET /v1/accesses."""
        return _json(accesses_response(narrowed(await self._accesses.list(request), current_call().purpose)))

    async def issue_pass(self, violations: Violations, request: pb.IssuePassRequest) -> Reply:
        """Answers POST /v1/passes:issue."""
        purpose = current_call().purpose
        return _json(pass_response(narrowed(await self._passes.issue(request, purpose), purpose)))

    async def issue_certificate(
        self, violations: Violations, request: certificate_pb2.IssueCertificateRequest
    ) -> Reply:
        """Answers POST /v1/certificates:issue."""
        purpose = current_call().purpose
        return _json(certificate_response(narrowed(await self._certificates.issue(request, purpose), purpose)))

    async def verify_certificate(
        self, violations: Violations, request: certificate_pb2.VerifyCertificateRequest
    ) -> Reply:
        """Answers POST /v1/certificates:verify."""
        purpose = current_call().purpose
        verified = await self._certificates.verify(request, purpose, violations)
        return _json(verification_response(narrowed(verified, purpose)))

    async def present_certificate(
        self, violations: Violations, request: certificate_pb2.PresentCertificateRequest
    ) -> Reply:
        """Answers POST /v1/certificates:present."""
        purpose = current_call().purpose
        return _json(presentation_response(narrowed(await self._certificates.present(request, purpose), purpose)))

    async def trust_bundle(self, violations: Violations, request: pb.GetTrustBundleRequest) -> Reply:
        """Answers GET /v1/trustBundle."""
        return _json(bundle_response(await self._passes.bundle()))

    async def regions(self, violations: Violations, request: pb.ListRegionsRequest) -> Reply:
        """Answers GET /v1/regions."""
        return _json(regions_response(await self._application.regions(request)))


def api_routes(
    application: Application, accesses: Accesses, passes: Passes, certificates: Certificates
) -> Mapping[str, Route]:
    """Returns the calls of the API by path."""
    requests, api = Requests(), Api(application, accesses, passes, certificates)
    routes: Mapping[str, Route] = {
        "/v1/healthCode:show": ContractRoute(_CONTRACT, "ShowHealthCode", requests.show, api.show),
        "/v1/healthCode:batchShow": ContractRoute(
            _CONTRACT, "BatchShowHealthCodes", requests.batch_show, api.batch_show
        ),
        "/v1/destinations:check": ContractRoute(
            _CONTRACT, "CheckDestinations", requests.destinations, api.destinations
        ),
        "/v1/results:list": ContractRoute(_CONTRACT, "ListResults", requests.results, api.results),
        "/v1/results:batchList": ContractRoute(
            _CONTRACT, "BatchListResults", requests.batch_results, api.batch_results
        ),
        "/v1/results:claim": ContractRoute(_CONTRACT, "ClaimResult", requests.claim, api.claim, changes=True),
        "/v1/healthCode:switchScope": ContractRoute(
            _CONTRACT, "SwitchScope", requests.switch_scope, api.switch_scope, changes=True
        ),
        "/v1/corrections:request": ContractRoute(
            _CONTRACT, "RequestCorrection", requests.correct, api.correct, changes=True
        ),
        "/v1/corrections:list": ContractRoute(
            _CONTRACT, "ListHolderCorrectionRequests", requests.corrections, api.corrections
        ),
        "/v1/accesses": ContractRoute(_CONTRACT, "ListAccesses", requests.accesses, api.accesses, method="GET"),
        "/v1/passes:issue": ContractRoute(_CONTRACT, "IssuePass", requests.issue_pass, api.issue_pass),
        "/v1/certificates:issue": ContractRoute(
            _CONTRACT, "IssueCertificate", requests.issue_certificate, api.issue_certificate
        ),
        "/v1/certificates:verify": ContractRoute(
            _CONTRACT, "VerifyCertificate", requests.verify_certificate, api.verify_certificate
        ),
        "/v1/certificates:present": ContractRoute(
            _CONTRACT, "PresentCertificate", requests.present_certificate, api.present_certificate, changes=True
        ),
        "/v1/trustBundle": ContractRoute(
            _CONTRACT, "GetTrustBundle", requests.trust_bundle, api.trust_bundle, method="GET"
        ),
        "/v1/regions": ContractRoute(_CONTRACT, "ListRegions", requests.regions, api.regions, method="GET"),
    }
    return routes


def _json(answer: Answer) -> Reply:
    return Reply(encode(answer))


def _page(request: pb.ListRegionsRequest | pb.ListAccessesRequest, incoming: Incoming) -> None:
    """Writes the page that a query asks for into a request. Raises InvalidArgument (UNKNOWN_FIELD, DUPLICATE_FIELD,
    WRONG_TYPE, PAGE_SIZE)."""
    query = Query(incoming.query, ("pageSize", "pageToken"))
    request.page_size = query.number("pageSize")
    request.page_token = query.token("pageToken")
