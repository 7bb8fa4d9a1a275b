"""The signers that are believed: their certificates, by the key identifier that an HCERT carries."""

import base64
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from services.certificates.keys import KEY_ID_BYTES, KeyRing, KeyUnusable, PublicKey, usable


class Kind(StrEnum):
    """The kinds of certificates, by the group of the schema."""

    TEST = "t"
    VACCINATION = "v"
    RECOVERY = "r"


# The extended key usages of signers: as the specification writes them, and as early issuers did.
USAGES = {
    f"1.3.6.1.4.1.{middle}1847.2021.1.{number}": kind
    for middle in ("", "0.")
    for number, kind in enumerate(Kind, start=1)
}

TEST_USAGE = "1.3.6.1.4.1.1847.2021.1.1"
"""The extended key usage of a signer of tests."""


@dataclass(frozen=True)
class Signer:
    """A trusted signer. A certificate whose key may not sign raises KeyUnusable."""

    certificate: x509.Certificate

    def __post_init__(self) -> None:
        usable(self.certificate.public_key())
        try:
            _ = self.kinds, self.names
        except ValueError as error:
            raise KeyUnusable(f"its extensions cannot be read: {error}") from None

    @cached_property
    def public_key(self) -> PublicKey:
        """Returns the certificate's key."""
        return usable(self.certificate.public_key())

    @cached_property
    def key_id(self) -> bytes:
        """Returns the first 8 bytes of the certificate's SHA-256 (hcert-spec 3.2.2)."""
        return self.certificate.fingerprint(SHA256())[:KEY_ID_BYTES]

    @cached_property
    def kinds(self) -> frozenset[Kind]:
        """Returns what it may sign: everything where the certificate states no extended key usage."""
        try:
            usages = self.certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        except x509.ExtensionNotFound:
            return frozenset(Kind)
        return frozenset(USAGES[usage.dotted_string] for usage in usages if usage.dotted_string in USAGES)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Returns the URIs that the certificate names its subject by."""
        try:
            names = self.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except x509.ExtensionNotFound:
            return ()
        return tuple(names.get_values_for_type(x509.UniformResourceIdentifier))

    def in_force(self, at: datetime) -> bool:
        """Tells if the certificate is in force at an instant (aware), both ends included."""
        return self.certificate.not_valid_before_utc <= at <= self.certificate.not_valid_after_utc


class Trust(KeyRing[Signer]):
    """The signers that are believed."""


def signer_of(certificate: str | bytes) -> Signer:
    """Returns the signer of a certificate in PEM, DER or base64 of DER. Raises ValueError."""
    raw = certificate.encode("ascii") if isinstance(certificate, str) else certificate
    if b"-----BEGIN" in raw:
        return Signer(x509.load_pem_x509_certificate(raw))
    if raw[:1] != b"\x30":
        raw = base64.b64decode(raw, validate=False)
    return Signer(x509.load_der_x509_certificate(raw))


def trust_of(folder: Path) -> Trust:
    """Returns the signers of a folder: each `*.pem`, `*.crt`, `*.der`. Raises ValueError that names the file."""
    signers = []
    for path in sorted(folder.iterdir()):
        if path.suffix not in {".pem", ".crt", ".der"}:
            continue
        try:
            signers.append(signer_of(path.read_bytes()))
        except ValueError as error:
            raise ValueError(f"{path.name}: not the certificate of a signer: {error}") from error
    return Trust(signers)
