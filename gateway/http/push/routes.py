"""The calls about push subscriptions by path."""

from collections.abc import Mapping, Sequence

from hutong.gateway.v1 import push_service_pb2 as pb

from gateway.application.purpose_views import narrowed
from gateway.http.push.bodies import DeleteSubscriptionRequest, PutSubscriptionRequest
from gateway.http.push.views import DeleteSubscriptionResponse, PutSubscriptionResponse, key_response
from gateway.http.requests.decoder import Decoder
from gateway.http.routing import ContractRoute, Incoming, Reply, Route
from gateway.http.views.answer import encode
from gateway.push.subscriptions import PushSubscriptions
from services.common.errors import Violation
from services.runtime.rpc.call import current_call

Violations = Sequence[Violation]

_CONTRACT = pb.DESCRIPTOR.services_by_name["PushService"].full_name
_NONE: Violations = ()


class PushApi:
    """Reads requests about subscriptions, and shows the answers."""

    def __init__(self, subscriptions: PushSubscriptions) -> None:
        self._subscriptions = subscriptions
        self._put = Decoder(PutSubscriptionRequest)
        self._delete = Decoder(DeleteSubscriptionRequest)

    def read_key(self, incoming: Incoming) -> tuple[pb.GetPushKeyRequest, Violations]:
        """Reads GET /v1/pushKey."""
        return pb.GetPushKeyRequest(), _NONE

    def read_put(self, incoming: Incoming) -> tuple[pb.PutPushSubscriptionRequest, Violations]:
        """Reads POST /v1/pushSubscriptions:put."""
        request = pb.PutPushSubscriptionRequest()
        request.purpose = incoming.purpose  # type: ignore[assignment]  # an open enum
        self._put(incoming.body).fill(request)
        return request, _NONE

    def read_delete(self, incoming: Incoming) -> tuple[pb.DeletePushSubscriptionRequest, Violations]:
        """Reads POST /v1/pushSubscriptions:delete."""
        request = pb.DeletePushSubscriptionRequest()
        request.purpose = incoming.purpose  # type: ignore[assignment]  # an open enum
        self._delete(incoming.body).fill(request)
        return request, _NONE

    async def key(self, violations: Violations, request: pb.GetPushKeyRequest) -> Reply:
        """Answers GET /v1/pushKey."""
        return Reply(encode(key_response(self._subscriptions.key())))

    async def put(self, violations: Violations, request: pb.PutPushSubscriptionRequest) -> Reply:
        """Answers POST /v1/pushSubscriptions:put."""
        kept = narrowed(await self._subscriptions.put(request), current_call().purpose)
        return Reply(encode(PutSubscriptionResponse(kept.created)))

    async def delete(self, violations: Violations, request: pb.DeletePushSubscriptionRequest) -> Reply:
        """Answers POST /v1/pushSubscriptions:delete."""
        forgotten = narrowed(await self._subscriptions.delete(request), current_call().purpose)
        return Reply(encode(DeleteSubscriptionResponse(forgotten.deleted)))


def push_routes(subscriptions: PushSubscriptions) -> Mapping[str, Route]:
    """Returns the calls about subscriptions by path."""
    api = PushApi(subscriptions)
    routes: Mapping[str, Route] = {
        "/v1/pushKey": ContractRoute(_CONTRACT, "GetPushKey", api.read_key, api.key, method="GET"),
        "/v1/pushSubscriptions:put": ContractRoute(
            _CONTRACT, "PutPushSubscription", api.read_put, api.put, changes=True
        ),
        "/v1/pushSubscriptions:delete": ContractRoute(
            _CONTRACT, "DeletePushSubscription", api.read_delete, api.delete, changes=True
        ),
    }
    return routes
