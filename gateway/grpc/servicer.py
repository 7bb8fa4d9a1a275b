"""HealthCodeService: translates the contract to the application and back."""

from hutong.common.v1.subject_pb2 import Purpose
from hutong.gateway.v1 import certificate_pb2
from hutong.gateway.v1 import health_code_service_pb2 as pb

from gateway.application.accesses import Accesses
from gateway.application.application import Application
from gateway.certificates.certificates import Certificates
from gateway.codes.codes import Shown, Summaries
from gateway.grpc.counting import counted
from gateway.passes.passes import Passes
from services.common.errors import ServiceError
from services.runtime.rpc.call import current_call
from services.runtime.rpc.errors import to_item_error


def _outcome(shown: Shown | ServiceError) -> pb.HealthCodeOutcome:
    if isinstance(shown, ServiceError):
        return pb.HealthCodeOutcome(error=to_item_error(shown))
    return pb.HealthCodeOutcome(code=shown.message())


def _purpose() -> Purpose.ValueType:
    return current_call().purpose


class HealthCodeServicer:
    """Serves hutong.gateway.v1.HealthCodeService. The purpose is the one the call was admitted under."""

    def __init__(
        self, application: Application, accesses: Accesses, passes: Passes, certificates: Certificates
    ) -> None:
        self._application = application
        self._certificates = certificates
        self._passes = passes
        self._accesses = accesses

    @counted
    async def ShowHealthCode(self, request: pb.ShowHealthCodeRequest) -> pb.ShowHealthCodeResponse:
        """Shows one code."""
        query = self._application.admission.query(request.query, "query.")
        return (await self._application.show(query, _purpose())).message()

    @counted
    async def BatchShowHealthCodes(self, request: pb.BatchShowHealthCodesRequest) -> pb.BatchShowHealthCodesResponse:
        """Shows many codes."""
        codes = await self._application.show_many(self._application.admit_many(request.queries), _purpose())
        return pb.BatchShowHealthCodesResponse(outcomes=[_outcome(code) for code in codes])

    @counted
    async def CheckDestinations(self, request: pb.CheckDestinationsRequest) -> pb.CheckDestinationsResponse:
        """Shows one person's code in many regions."""
        destinations = await self._application.destinations(request, _purpose())
        summaries = Summaries()
        full = request.view == pb.DestinationView.DESTINATION_VIEW_FULL
        return pb.CheckDestinationsResponse(
            destinations=[
                pb.Destination(region=one.region, code=_outcome(one.code))
                if full or isinstance(one.code, ServiceError)
                else pb.Destination(region=one.region, summary=summaries.of(one.code))
                for one in destinations
            ]
        )

    @counted
    async def ListResults(self, request: pb.ListResultsRequest) -> pb.ListResultsResponse:
        """Lists a person's results."""
        return await self._application.results(request, _purpose())

    @counted
    async def BatchListResults(self, request: pb.BatchListResultsRequest) -> pb.BatchListResultsResponse:
        """Lists many people's results."""
        pages = await self._application.results_of_many(request.documents, _purpose())
        return pb.BatchListResultsResponse(
            outcomes=[
                pb.ResultsOutcome(error=to_item_error(one))
                if isinstance(one, ServiceError)
                else pb.ResultsOutcome(results=one)
                for one in pages
            ]
        )

    @counted
    async def ClaimResult(self, request: pb.ClaimResultRequest) -> pb.ClaimResultResponse:
        """Makes a result from elsewhere part of a region's record."""
        return await self._application.claim(request, _purpose())

    @counted
    async def SwitchScope(self, request: pb.SwitchScopeRequest) -> pb.SwitchScopeResponse:
        """Turns the holder's switch."""
        return await self._application.switch_scope(request, _purpose())

    @counted
    async def RequestCorrection(self, request: pb.RequestCorrectionRequest) -> pb.RequestCorrectionResponse:
        """Asks a laboratory to correct a record."""
        return await self._application.corrections.request(request, _purpose())

    @counted
    async def ListHolderCorrectionRequests(
        self, request: pb.ListHolderCorrectionRequestsRequest
    ) -> pb.ListHolderCorrectionRequestsResponse:
        """Lists what a person asked to have corrected."""
        return await self._application.corrections.listed(request, _purpose())

    @counted
    async def ListAccesses(self, request: pb.ListAccessesRequest) -> pb.ListAccessesResponse:
        """Lists who looked at a person."""
        return await self._accesses.list(request)

    @counted
    async def IssuePass(self, request: pb.IssuePassRequest) -> pb.IssuePassResponse:
        """Issues a pass."""
        return await self._passes.issue(request, _purpose())

    @counted
    async def GetTrustBundle(self, request: pb.GetTrustBundleRequest) -> pb.GetTrustBundleResponse:
        """Makes the trust bundle."""
        return await self._passes.bundle()

    @counted
    async def IssueCertificate(
        self, request: certificate_pb2.IssueCertificateRequest
    ) -> certificate_pb2.IssueCertificateResponse:
        """Issues a certificate."""
        return await self._certificates.issue(request, _purpose())

    @counted
    async def VerifyCertificate(
        self, request: certificate_pb2.VerifyCertificateRequest
    ) -> certificate_pb2.VerifyCertificateResponse:
        """Verifies a certificate."""
        return await self._certificates.verify(request, _purpose())

    @counted
    async def PresentCertificate(
        self, request: certificate_pb2.PresentCertificateRequest
    ) -> certificate_pb2.PresentCertificateResponse:
        """Presents a certificate as evidence."""
        return await self._certificates.present(request, _purpose())

    @counted
    async def ListRegions(self, request: pb.ListRegionsRequest) -> pb.ListRegionsResponse:
        """Lists the directory."""
        return await self._application.regions(request)
