"""The claims around a certificate's contents: issuer, issued at, until when (CWT, RFC 8392; hcert-spec 3.3).

A region of a mesh says besides, in a claim of the private range, which of its records the certificate proves. Readers
of other countries leave it alone.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import cbor2

from services.certificates.cbor import read_cbor
from services.certificates.provenance import Provenance, read_provenance
from services.certificates.refusals import CertificateRefused, Reason

_UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, OverflowError, OSError)
ISSUER, EXPIRES, ISSUED, HCERT, EU_DCC = 1, 4, 6, -260, 1
PROVENANCE = -65_701


@dataclass(frozen=True)
class Claims:
    """A certificate's claims. Instants are aware, in UTC; `contents` is as decoded, not yet held against the schema."""

    issuer: str
    issued_at: datetime
    expires_at: datetime
    contents: dict[str, Any]
    provenance: Provenance | None = None

    def check(self, at: datetime) -> None:
        """Raises CertificateRefused unless the certificate is valid at an instant (aware), both ends included."""
        if at < self.issued_at:
            raise CertificateRefused(Reason.NOT_YET_VALID, f"issued at {self.issued_at.isoformat()}")
        if at > self.expires_at:
            raise CertificateRefused(Reason.EXPIRED, f"valid until {self.expires_at.isoformat()}")

    def encoded(self) -> bytes:
        """Returns the claims as CBOR."""
        stated: dict[int, Any] = {
            ISSUER: self.issuer,
            EXPIRES: int(self.expires_at.timestamp()),
            ISSUED: int(self.issued_at.timestamp()),
            HCERT: {EU_DCC: self.contents},
        }
        if self.provenance is not None:
            stated[PROVENANCE] = self.provenance.encoded()
        return cbor2.dumps(stated)


def claims(payload: bytes) -> Claims:
    """Returns the claims of a signed payload. Raises CertificateRefused."""
    try:
        decoded = read_cbor(payload)
        read = Claims(
            issuer=_text(decoded.get(ISSUER, "")),
            issued_at=_instant(decoded[ISSUED]),
            expires_at=_instant(decoded[EXPIRES]),
            contents=_plain(decoded[HCERT][EU_DCC]),
            provenance=read_provenance(decoded[PROVENANCE]) if PROVENANCE in decoded else None,
        )
    except _UNREADABLE as error:
        raise CertificateRefused(Reason.CLAIMS_MALFORMED, type(error).__name__) from None
    if not isinstance(read.contents, dict):
        raise CertificateRefused(Reason.CLAIMS_MALFORMED, "the contents are not a map")
    return read


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _instant(value: Any) -> datetime:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError
    return datetime.fromtimestamp(value, UTC)


def _plain(value: Any) -> Any:
    # Some issuers tag instants and dates (CBOR tags 0, 1, 1004); the schema knows them as texts.
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, datetime | date):
        return value.isoformat()
    return value
