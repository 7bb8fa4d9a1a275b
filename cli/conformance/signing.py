"""A report signed by whoever ran the cases: Ed25519 over its canonical JSON, with the public key beside it."""

import base64
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from msgspec import Struct

from cli.certificates.authority import write_private
from cli.conformance.outcomes import Report


class SigningError(ValueError):
    """A key or a signed report cannot be used; the message is one sentence."""


class SignedReport(Struct, frozen=True, forbid_unknown_fields=True):
    """A report, the Ed25519 public key of the tester and the signature, both in base64."""

    report: Report
    public_key: str
    signature: str


def _signed_bytes(report: Report) -> bytes:
    return b"hutong conformance report 1\n" + msgspec.json.encode(report, order="deterministic")


def read_or_make_key(path: Path) -> Ed25519PrivateKey:
    """Returns the key in a PEM file, which is made where there is none (mode 0600). Raises SigningError, OSError."""
    if not path.exists():
        made = Ed25519PrivateKey.generate()
        write_private(path, made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError):
        raise SigningError(f"{path} holds no private key in PEM without a password") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise SigningError(f"{path} holds no Ed25519 key")
    return key


def sign(report: Report, key: Ed25519PrivateKey) -> bytes:
    """Returns the signed report as JSON."""
    public_key = base64.b64encode(key.public_key().public_bytes_raw()).decode()
    signature = base64.b64encode(key.sign(_signed_bytes(report))).decode()
    return msgspec.json.format(msgspec.json.encode(SignedReport(report, public_key, signature)), indent=2) + b"\n"


def verify(data: bytes) -> SignedReport:
    """Returns a signed report whose signature is right. Raises SigningError."""
    try:
        # Strict: what is not in a report is not signed, and must not be shown beside what is.
        signed = msgspec.json.decode(data, type=SignedReport)
        public_key = Ed25519PublicKey.from_public_bytes(base64.b64decode(signed.public_key, validate=True))
        signature = base64.b64decode(signed.signature, validate=True)
    except (msgspec.MsgspecError, ValueError, UnicodeDecodeError):
        raise SigningError("the file is no signed report") from None
    try:
        public_key.verify(signature, _signed_bytes(signed.report))
    except InvalidSignature:
        raise SigningError("the signature is not of this report and this key") from None
    return signed
