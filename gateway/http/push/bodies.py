"""The bodies of requests about push subscriptions, as browsers have them."""

# a text in two languages is one text

import base64
import binascii
from typing import Annotated

import msgspec
from hutong.gateway.v1 import push_service_pb2 as pb

from gateway.http.fields import REQUIRED, RegionCode, described, one_of
from gateway.http.names import PUSH_LANGUAGE
from gateway.http.requests.bodies import Body, Document


class SubscriptionKeys(Body):
    """设备的密钥，base64url。 The device's keys, in base64url."""

    p256dh: Annotated[str, described("P-256 公钥，65 字节。 A public key on P-256, 65 bytes."), REQUIRED] = ""
    auth: Annotated[str, described("16 字节。 16 bytes."), REQUIRED] = ""


class BrowserSubscription(Body):
    """浏览器的 PushSubscription。 What a browser's PushSubscription says of itself."""

    endpoint: Annotated[
        str,
        described("推送服务的 https 地址。 An https URL of a push service.", format="uri", maxLength=1024),
        REQUIRED,
    ] = ""
    keys: Annotated[SubscriptionKeys, REQUIRED] = msgspec.field(default_factory=SubscriptionKeys)
    expiration_time: Annotated[float, described("忽略。 Not looked at.")] | None = None

    def fill(self, message: pb.PushSubscription) -> None:
        """Writes itself into the contract's form."""
        message.endpoint = self.endpoint
        message.p256dh = _bytes(self.keys.p256dh)
        message.auth = _bytes(self.keys.auth)


class PutSubscriptionRequest(Body):
    """在此设备上收此人的提醒。 This device is told about this person."""

    document: Annotated[Document, REQUIRED] = msgspec.field(default_factory=Document)
    subscription: Annotated[BrowserSubscription, REQUIRED] = msgspec.field(default_factory=BrowserSubscription)
    region: Annotated[RegionCode, REQUIRED] = ""
    language: (
        Annotated[str, one_of(PUSH_LANGUAGE, "提醒的语言，缺省为中文。 Of what the device shows; Chinese when absent.")]
        | None
    ) = None

    def fill(self, message: pb.PutPushSubscriptionRequest) -> None:
        """Writes itself into the contract's form."""
        self.document.fill(message.document)
        self.subscription.fill(message.subscription)
        message.region = self.region
        message.language = PUSH_LANGUAGE.number(self.language)  # type: ignore[assignment]  # an open enum


class DeleteSubscriptionRequest(Body):
    """此设备不再收此人的提醒。 This device is told about this person no more."""

    document: Annotated[Document, REQUIRED] = msgspec.field(default_factory=Document)
    endpoint: Annotated[str, described("推送地址。 The device's endpoint.", maxLength=1024), REQUIRED] = ""

    def fill(self, message: pb.DeletePushSubscriptionRequest) -> None:
        """Writes itself into the contract's form."""
        self.document.fill(message.document)
        message.endpoint = self.endpoint


def _bytes(text: str) -> bytes:
    """Returns the bytes of base64url with or without padding; none for what is no base64url, which is refused as a key
    of a wrong size."""
    try:
        return base64.b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return b""
