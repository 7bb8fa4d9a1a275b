"""Push subscriptions, as they are answered in JSON."""

import base64
from typing import Annotated

from hutong.gateway.v1 import push_service_pb2 as pb

from gateway.http.fields import described
from gateway.http.views.answer import Answer


class PushKeyResponse(Answer, frozen=True):
    """浏览器订阅所用的公钥。 The key that a browser subscribes with."""

    application_server_key: (
        Annotated[
            str,
            described("P-256 公钥，base64url；不发送提醒则为 null。 Base64url; null where no messages are sent."),
        ]
        | None
    )


class PutSubscriptionResponse(Answer, frozen=True):
    """已订阅。 It is kept."""

    created: Annotated[bool, described("此前没有则为 true。 Whether this call made it.")]


class DeleteSubscriptionResponse(Answer, frozen=True):
    """已取消。 It is forgotten."""

    deleted: Annotated[bool, described("此前有则为 true。 Whether there was one.")]


def key_response(answer: pb.GetPushKeyResponse) -> PushKeyResponse:
    """Shows the key."""
    key = base64.urlsafe_b64encode(answer.application_server_key).decode().rstrip("=")
    return PushKeyResponse(key or None)
