"""Test certificates of a signer of the tests, whole and changed, and the published vectors where they are."""

import zlib
from datetime import UTC, datetime, timedelta
from typing import Any

import base45
import cbor2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from services.certificates.envelope import unwrapped
from services.certificates.identifiers import certificate_identifier
from services.certificates.issuing import Holder, Result, issue
from services.certificates.refusals import CertificateRefused, Reason
from services.certificates.signature import signed_bytes
from services.certificates.trust import TEST_USAGE, Signer, Trust
from services.certificates.verification import verify
from tests.testkit.tools import ROOT

VECTORS = sorted((ROOT.parent / "shared" / "data" / "hcert").glob("*.json"))
"""The published vectors of EU digital covid certificates; none on a machine that has not got them."""


def clock(text: str) -> datetime:
    """Returns a vector's validation clock; one without an offset is in UTC."""
    instant = datetime.fromisoformat(text)
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


NOW = datetime(2022, 8, 5, 4, 0, tzinfo=UTC)
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


def signer(key: Key, *, usage: str | None = TEST_USAGE, region: str = "430000", days: int = 365) -> Signer:
    """Returns a signer with a certificate that signs itself, from a day before NOW on."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "signer")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=days))
    )
    if usage is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([x509.ObjectIdentifier(usage)]), critical=False)
    if region:
        uri = x509.UniformResourceIdentifier(f"spiffe://hutong/region/{region}/certificates")
        builder = builder.add_extension(x509.SubjectAlternativeName([uri]), critical=False)
    return Signer(builder.sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()))


def pem(key: Key) -> bytes:
    """Returns a private key as PEM."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


KEY = ec.generate_private_key(ec.SECP256R1())
SIGNER = signer(KEY)
HOLDER = Holder("WANG", "XIAOMING", datetime(1990, 1, 2, tzinfo=UTC).date(), "王小明")


def result(region: str = "430000", *, positive: bool = False) -> Result:
    """Returns a result sampled eight hours before NOW."""
    return Result(
        NOW - timedelta(hours=8), positive, "长沙市第一医院", "湖南省", certificate_identifier(region, "A1B2C3")
    )


def certificate(by: Signer = SIGNER, key: Key = KEY, *, region: str = "430000") -> str:
    """Returns a certificate valid for three days from NOW on."""
    return issue(HOLDER, result(region), signer=by, key=pem(key), issued_at=NOW, valid_for=timedelta(days=3))


def around(signed_or_not: bytes) -> str:
    """Returns the text of any bytes."""
    encoded: bytes = base45.b45encode(zlib.compress(signed_or_not))
    return "HC1:" + encoded.decode()


def signed(claims: Any, by: Signer = SIGNER, key: Key = KEY) -> str:
    """Returns a text whose signature is right, around any claims."""
    signature = signed_bytes(cbor2.dumps(claims), pem(key), by)
    return around(signature)


def claims(**changes: Any) -> dict[int, Any]:
    """Returns the claims of a certificate with changes of its contents."""
    message = cbor2.loads(unwrapped(certificate()))
    decoded: dict[int, Any] = cbor2.loads(message.value[2])
    decoded[-260][1] |= changes
    return decoded


def entry(**changes: Any) -> dict[str, Any]:
    """Returns the entry of a test with changes."""
    test: dict[str, Any] = claims()[-260][1]["t"][0] | changes
    return {name: value for name, value in test.items() if value is not None}


def refusal(text: str, *by: Signer, at: datetime = NOW) -> Reason:
    """Returns the reason with which a text is refused."""
    with pytest.raises(CertificateRefused) as refused:
        verify(text, Trust(by or (SIGNER,)), at)
    return refused.value.reason
