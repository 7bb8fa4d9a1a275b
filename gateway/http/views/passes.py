"""Passes and the trust bundle, as JSON."""

from base64 import b64encode
from typing import Annotated

from hutong.gateway.v1 import health_code_service_pb2 as pb

from gateway.http.fields import described, instant
from gateway.http.names import FRESHNESS
from gateway.http.views import answer
from gateway.http.views.answer import Answer
from gateway.http.views.code import HealthCode, health_code
from gateway.http.views.left_out import LeftOut, left_out


class PassResponse(Answer, frozen=True):
    """通行码。 A pass."""

    text: Annotated[str, described("二维码内容，HC1: 开头。 What the QR code says.")]
    issued_at: Annotated[str, instant("签发时刻。 When it was issued.")]
    expires_at: Annotated[str, instant("失效时刻。 When it ends.")]
    masked_name: Annotated[str, described("遮盖的姓名；未知为 null。 The masked name, where it is known.")] | None
    qr_svg: (
        Annotated[str, described("二维码图形；见 leftOut。 The QR code as an SVG image; see leftOut where it is null.")]
        | None
    )
    code: Annotated[HealthCode, described("所证明的健康码。 The code that it proves.")]
    left_out: LeftOut | None


class TrustBundle(Answer, frozen=True):
    """信任包。 The trust bundle."""

    bundle: Annotated[str, described("签名并压缩的信任包，Base64。 Signed and compressed, in Base64.")]
    root: Annotated[str, described("根公钥 SPKI DER，Base64。 The root's public key, SPKI in DER, in Base64.")]
    made_at: Annotated[str, instant("制作时刻。 When it was made.")]


def pass_response(message: pb.IssuePassResponse) -> PassResponse:
    """Shows a pass."""
    return PassResponse(
        message.text,
        answer.instant(message.issued_at),
        answer.instant(message.expires_at),
        message.masked_name or None,
        message.qr_svg or None,
        health_code(message.code.verdict, FRESHNESS[message.code.freshness]),
        left_out(message.left_out) if message.HasField("left_out") else None,
    )


def bundle_response(message: pb.GetTrustBundleResponse) -> TrustBundle:
    """Shows a bundle."""
    return TrustBundle(
        b64encode(message.bundle).decode(), b64encode(message.root).decode(), answer.instant(message.made_at)
    )
