"""Issuing: one result of a region becomes a certificate that any verifier of HCERTs reads."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from services.certificates.claims import Claims
from services.certificates.envelope import wrapped
from services.certificates.provenance import Provenance
from services.certificates.schema.contents import DETECTED, NOT_DETECTED, NUCLEIC_ACID, contents
from services.certificates.signature import signed_bytes
from services.certificates.trust import Kind, Signer

COUNTRY = "CN"  # ISO 3166-1
SCHEMA_VERSION = "1.3.3"
COVID_19 = "840539006"  # SNOMED CT


@dataclass(frozen=True)
class Holder:
    """The holder of a certificate. `surname` and `given_name` are as in a passport (ICAO 9303): A to Z and `<`; `born`
    is None where the date of birth is not known."""

    surname: str
    given_name: str
    born: date | None
    written_name: str = ""


@dataclass(frozen=True)
class Result:
    """The result that a certificate proves. `sampled_at` is aware, `issuer` a region's name, `identifier` a UVCI."""

    sampled_at: datetime
    positive: bool
    laboratory: str
    issuer: str
    identifier: str


def issue(
    holder: Holder,
    result: Result,
    *,
    signer: Signer,
    key: bytes,
    issued_at: datetime,
    valid_for: timedelta,
    provenance: Provenance | None = None,
) -> str:
    """Returns the text of a certificate, signed with a signer's private key (PEM). One without a provenance can be
    verified, and cannot be presented to a mesh as evidence: nothing binds it to a person.

    Raises CertificateRefused where the content violates the schema, and ValueError where the signer may not sign tests
    or the key is another's.
    """
    if Kind.TEST not in signer.kinds:
        raise ValueError("the signer's certificate does not allow the signing of tests")
    content = {
        "ver": SCHEMA_VERSION,
        "nam": {
            "fnt": holder.surname,
            "gnt": holder.given_name,
            **({"fn": holder.written_name} if holder.written_name else {}),
        },
        "dob": holder.born.isoformat() if holder.born else "",
        "t": [
            {
                "tg": COVID_19,
                "tt": NUCLEIC_ACID,
                "sc": result.sampled_at.isoformat(timespec="seconds"),
                "tr": DETECTED if result.positive else NOT_DETECTED,
                "tc": result.laboratory,
                "co": COUNTRY,
                "is": result.issuer,
                "ci": result.identifier,
            }
        ],
    }
    contents(content)
    claims = Claims(COUNTRY, issued_at, issued_at + valid_for, content, provenance)
    return wrapped(signed_bytes(claims.encoded(), key, signer))
