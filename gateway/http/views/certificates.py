"""Certificates, as JSON."""

from base64 import b64encode
from typing import Annotated

from hutong.gateway.v1 import certificate_pb2 as pb

from gateway.http.fields import described, instant, one_of
from gateway.http.names import RESULT
from gateway.http.views import answer
from gateway.http.views.answer import Answer, Text
from gateway.http.views.evidence import TestRecord, test_record
from gateway.http.views.left_out import LeftOut, left_out


class CertificateResponse(Answer, frozen=True):
    """核酸检测证明。 A test certificate."""

    text: Annotated[str, described("证书文本，HC1: 开头，即二维码内容。 What its QR code says.")]
    identifier: Annotated[str, described("证书编号 UVCI。 Its identifier.")]
    issued_at: Annotated[str, instant("签发时刻。 When it was issued.")]
    expires_at: Annotated[str, instant("有效期至；各地认可多久另有规定。 Valid until.")]
    qr_svg: Annotated[str, described("二维码图形，按需。 The QR code as an SVG image, where asked for.")] | None
    qr_png: (
        Annotated[str, described("二维码图片，Base64，按需。 The QR code as a PNG image in Base64, where asked for.")]
        | None
    )
    pdf: Annotated[str, described("A4 打印页，Base64，按需。 A page of A4 in Base64, where asked for.")] | None
    left_out: LeftOut | None


class CertificateView(Answer, frozen=True):
    """证书所示，以便与本人核对。 What is to be seen of a certificate, to be compared with the person."""

    group: Annotated[str, described("t 检测、v 接种、r 康复。 t (test), v (vaccination), r (recovery).")]
    masked_name: Annotated[str, described("遮盖的姓名。 The masked name.")]
    born: Annotated[str, described("出生月日，如 01-02；未载明为 null。 Month and day of birth.")] | None
    result: Annotated[str, one_of(RESULT, "检测结果；非检测证书为 null。 The result, of tests alone.")] | None
    nucleic_acid: Annotated[bool, described("是否核酸检测：抗原不算。 A rapid antigen test is none.")]
    sampled_at: Annotated[str, instant("采样时刻。 When the sample was taken.")] | None
    issued_at: Annotated[str, instant("签发时刻。 When it was issued.")]
    expires_at: Annotated[str, instant("有效期至。 Valid until.")]
    region: Annotated[str, described("签发地区；境外为 null。 The region that signed it.")] | None
    country: Annotated[str, described("签发国。 The country that signed it.")]
    standing_checked: Annotated[
        bool,
        described("是否查过原记录仍然有效；未查到时只有签名为证。 Whether the record that it proves was looked at."),
    ]


class VerificationResponse(Answer, frozen=True):
    """核验结论。 The outcome of a verification."""

    verified: Annotated[bool, described("是否可信。 Whether it is believed.")]
    reason: Annotated[str, described("不可信的原因，如 EXPIRED。 Why it is not.")] | None
    text: Text | None
    certificate: CertificateView | None


class PresentationResponse(Answer, frozen=True):
    """出示的证书已记入本地区。 The result that the certificate proves, as this region keeps it."""

    record: TestRecord
    created: Annotated[bool, described("此前已出示则为 false。 False when it had been presented before.")]


def certificate_response(message: pb.IssueCertificateResponse) -> CertificateResponse:
    """Shows a certificate."""
    return CertificateResponse(
        message.text,
        message.identifier,
        answer.instant(message.issued_at),
        answer.instant(message.expires_at),
        message.qr_svg or None,
        b64encode(message.qr_png).decode() or None,
        b64encode(message.pdf).decode() or None,
        left_out(message.left_out) if message.HasField("left_out") else None,
    )


def verification_response(message: pb.VerifyCertificateResponse) -> VerificationResponse:
    """Shows whether a certificate is believed."""
    if not message.verified:
        return VerificationResponse(False, message.reason or None, answer.text(message.text), None)
    return VerificationResponse(True, None, None, _view(message.certificate))


def presentation_response(message: pb.PresentCertificateResponse) -> PresentationResponse:
    """Shows what became of a certificate."""
    return PresentationResponse(test_record(message.record), message.created)


def _view(view: pb.CertificateView) -> CertificateView:
    return CertificateView(
        view.group,
        view.masked_name,
        view.born or None,
        RESULT.maybe(view.result),
        view.nucleic_acid,
        answer.maybe_instant(view, "sampled_at"),
        answer.instant(view.issued_at),
        answer.instant(view.expires_at),
        view.region or None,
        view.country,
        view.standing_checked,
    )
