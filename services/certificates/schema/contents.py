"""The contents of a certificate, as the EU DCC schema 1.3.3 defines them (ehn-dcc-schema, eHealth Network).

A certificate of an earlier version is one of 1.3, which only made fields optional. Fields that the schema does not name
are left alone. Instants are RFC 3339 with an offset, dates ISO 8601.
"""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec

from services.certificates.refusals import CertificateRefused, Reason
from services.certificates.schema.devices import DEVICES

Text80 = Annotated[str, msgspec.Meta(max_length=80)]
MachineName = Annotated[str, msgspec.Meta(max_length=80, pattern=r"^[A-Z<]*$")]
Country = Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{1,10}$")]
Date = Annotated[str, msgspec.Meta(pattern=r"^\d{4}-\d{2}-\d{2}([T ].*)?$")]
Instant = Annotated[
    str, msgspec.Meta(pattern=r"^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:?\d{2}|[+-]\d{2})$")
]
Count = Annotated[int, msgspec.Meta(ge=1)]
Disease = Literal["840539006"]  # SNOMED CT: COVID-19

NUCLEIC_ACID, RAPID_ANTIGEN = "LP6464-4", "LP217198-3"  # LOINC
NOT_DETECTED, DETECTED = "260415000", "260373001"  # SNOMED CT


class Name(msgspec.Struct):
    """A person's name; the standardised parts are in the alphabet of machine-readable documents (ICAO 9303)."""

    fn: Text80 | None = None
    fnt: MachineName | None = None
    gn: Text80 | None = None
    gnt: MachineName | None = None


class Test(msgspec.Struct):
    """One test: disease, kind, name or device, sample's instant, result, centre, country, issuer, identifier."""

    tg: Disease
    tt: Literal["LP6464-4", "LP217198-3"]
    sc: Instant
    tr: Literal["260415000", "260373001"]
    co: Country
    is_: Text80 = msgspec.field(name="is")
    ci: Text80
    nm: Text80 | None = None
    ma: str | None = None
    tc: Text80 | None = None

    @property
    def sampled_at(self) -> datetime:
        """Returns when the sample was taken (aware). Raises CertificateRefused where the text is no instant, such as a
        30th of February."""
        try:
            return datetime.fromisoformat(self.sc.upper())
        except ValueError:
            raise CertificateRefused(Reason.SCHEMA_VIOLATED, "t.sc: no such instant") from None

    @property
    def positive(self) -> bool:
        """Tells if the virus was detected."""
        return self.tr == DETECTED

    @property
    def nucleic_acid(self) -> bool:
        """Tells if it is a nucleic-acid test: a rapid antigen test is never one."""
        return self.tt == NUCLEIC_ACID


class Vaccination(msgspec.Struct):
    """One vaccination: disease, vaccine, product, its maker, doses, date, country, issuer, identifier."""

    tg: Disease
    vp: str
    mp: str
    ma: str
    dn: Count
    sd: Count
    dt: Date
    co: Country
    is_: Text80 = msgspec.field(name="is")
    ci: Text80


class Recovery(msgspec.Struct):
    """One recovery: disease, first positive test, country, issuer, valid from and until, identifier."""

    tg: Disease
    fr: Date
    co: Country
    is_: Text80 = msgspec.field(name="is")
    df: Date
    du: Date
    ci: Text80


class Contents(msgspec.Struct):
    """A certificate's contents: whose it is, and exactly one test, vaccination or recovery."""

    ver: Annotated[str, msgspec.Meta(pattern=r"^\d+\.\d+\.\d+$")]
    nam: Name
    dob: Annotated[str, msgspec.Meta(pattern=r"^((19|20)\d\d(-\d\d){0,2})?([T ].*)?$")]
    t: list[Test] | None = None
    v: list[Vaccination] | None = None
    r: list[Recovery] | None = None


def contents(decoded: Any) -> Contents:
    """Returns the contents of a decoded payload. Raises CertificateRefused with the field that violates the schema."""
    try:
        read = msgspec.convert(decoded, Contents)
    except msgspec.ValidationError as error:
        raise CertificateRefused(Reason.SCHEMA_VIOLATED, _without_value(str(error))) from None
    if read.nam.fnt is None and read.nam.gnt is None:
        raise CertificateRefused(Reason.SCHEMA_VIOLATED, "nam: neither fnt nor gnt")
    if sum(len(entries) for entries in (read.t or [], read.v or [], read.r or [])) != 1:
        raise CertificateRefused(Reason.SCHEMA_VIOLATED, "t, v, r: not exactly one entry")
    for test in read.t or []:
        _ = test.sampled_at
        if test.tt == RAPID_ANTIGEN and test.ma is not None and test.ma not in DEVICES:
            raise CertificateRefused(Reason.SCHEMA_VIOLATED, "t.ma: not a device of the common list")
    return read


def _without_value(message: str) -> str:
    return (
        message
        if "Invalid enum value" not in message
        else "a value outside its set" + message[message.rfind(" - at") :]
    )
