"""SupervisionService: translates the contract to the application and back."""

from collections.abc import AsyncIterator

from hutong.gateway.v1 import supervision_service_pb2 as pb

from gateway.grpc.counting import counted
from gateway.supervision.supervision import Supervision
from services.runtime.rpc.call import current_call


class SupervisionServicer:
    """Serves hutong.gateway.v1.SupervisionService."""

    def __init__(self, supervision: Supervision) -> None:
        self._supervision = supervision

    @counted
    async def ListFigures(self, request: pb.ListFiguresRequest) -> pb.ListFiguresResponse:
        """Lists figures."""
        return await self._supervision.figures(request)

    @counted
    async def ListRefusals(self, request: pb.ListRefusalsRequest) -> pb.ListRefusalsResponse:
        """Lists refusals."""
        return await self._supervision.refusals(request)

    @counted
    async def ReopenRefusal(self, request: pb.ReopenRefusalRequest) -> pb.ReopenRefusalResponse:
        """Judges a refused question again."""
        return await self._supervision.reopen(request, current_call().purpose)

    async def StreamOpenData(self, request: pb.StreamOpenDataRequest) -> AsyncIterator[pb.StreamOpenDataResponse]:
        """Gives the figures to be published."""
        async for piece in await self._supervision.open_data(request):
            yield pb.StreamOpenDataResponse(csv=piece)
