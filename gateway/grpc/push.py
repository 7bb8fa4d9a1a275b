"""PushService: hands what is asked on to the subscriptions."""

from hutong.gateway.v1 import push_service_pb2 as pb

from gateway.grpc.counting import counted
from gateway.push.subscriptions import PushSubscriptions


class PushServicer:
    """Serves hutong.gateway.v1.PushService."""

    def __init__(self, subscriptions: PushSubscriptions) -> None:
        self._subscriptions = subscriptions

    @counted
    async def GetPushKey(self, request: pb.GetPushKeyRequest) -> pb.GetPushKeyResponse:
        """Gives the key."""
        return self._subscriptions.key()

    @counted
    async def PutPushSubscription(self, request: pb.PutPushSubscriptionRequest) -> pb.PutPushSubscriptionResponse:
        """Keeps a subscription."""
        return await self._subscriptions.put(request)

    @counted
    async def DeletePushSubscription(
        self, request: pb.DeletePushSubscriptionRequest
    ) -> pb.DeletePushSubscriptionResponse:
        """Forgets a subscription."""
        return await self._subscriptions.delete(request)
