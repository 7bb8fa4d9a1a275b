"""Certificates, as the gateway issues, verifies and presents them."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256
from typing import TypeAlias

from hutong.common.v1.subject_pb2 import Purpose, Subject
from hutong.common.v1.text_pb2 import LocalizedText
from hutong.gateway.v1 import certificate_pb2 as pb
from hutong.gateway.v1.left_out_pb2 import OptionalPart
from hutong.lookup.v1 import holder_service_pb2
from hutong.lookup.v1.evidence_service_pb2 import BatchGetEvidenceRequest, Evidence, EvidenceQuery
from hutong.lookup.v1.region_pb2 import Scope
from hutong.records.v1.record_pb2 import TestRecord, TestResult

from gateway.application.application import Application
from gateway.certificates.choice import certifiable, is_void
from gateway.certificates.names import known_name, name_violations
from gateway.certificates.signers import SignerFolder
from gateway.load.optional_parts import OptionalParts, left_out
from gateway.passes.passes import masked
from gateway.ports import Evidence as EvidenceSource
from gateway.ports import Holders
from services.certificates.holders import HolderSeal
from services.certificates.identifiers import certificate_identifier
from services.certificates.issuing import Holder, Result, issue
from services.certificates.pictures import qr_png, qr_svg
from services.certificates.printing.page import certificate_pdf
from services.certificates.provenance import Provenance
from services.certificates.refusals import TEXTS, CertificateRefused, Reason
from services.certificates.schema.contents import Name
from services.certificates.trust import Signer, Trust
from services.certificates.trust_folder import TrustFolder
from services.certificates.verification import Verified, verify
from services.common.birth_dates import date_of_birth
from services.common.errors import FailedPrecondition, ServiceError, Text, Violation
from services.common.instants import from_datetime, from_timestamp, to_datetime, to_timestamp
from services.common.regions import divisions
from services.common.requests import fields
from services.common.requests.instants import read_instant
from services.common.requests.violations import Violations, violation
from services.runtime.clock import Clock
from services.runtime.rpc.call import count_unknown, current_call, note_person, stated_name
from services.runtime.tls.identity import laboratory_ids

VALID_FOR = timedelta(days=7)
"""The longest window that any region's policy has: how much of it counts is for each region to say."""
_FORMATS = frozenset(pb.CertificateFormat.values()) - {pb.CertificateFormat.CERTIFICATE_FORMAT_UNSPECIFIED}
_ASKED_FOR = {Purpose.PURPOSE_RECORD_KEEPING: Purpose.PURPOSE_REGIONAL_SERVICE}
"""Why lookup is asked, where the caller's own purpose reads no evidence: a laboratory certifies what it reported."""


@dataclass(frozen=True)
class CertificateSources:
    """The means to issue and to believe certificates: the regions' signers and the trusted ones, None where the
    settings name none, what seals whose a certificate is, and the names of those people whom the gateway knows by name.
    """

    signers: SignerFolder | None
    trust: TrustFolder | None
    seal: HolderSeal
    names: Mapping[bytes, Text]


_Drawn: TypeAlias = tuple[pb.CertificateFormat.ValueType, OptionalPart.ValueType, str, Callable[[], str | bytes]]
"""A form of a certificate, the part of an answer that it is, the field that it fills, and what draws it."""


class Certificates:
    """Issues, verifies and presents certificates. Every method raises ServiceError."""

    def __init__(
        self,
        application: Application,
        evidence: EvidenceSource,
        holders: Holders,
        sources: CertificateSources,
        optional: OptionalParts,
        clock: Clock,
    ) -> None:
        self._application = application
        self._evidence = evidence
        self._holders = holders
        self._sources = sources
        self._optional = optional
        self._clock = clock

    async def issue(
        self, request: pb.IssueCertificateRequest, purpose: Purpose.ValueType
    ) -> pb.IssueCertificateResponse:
        """Issues a certificate of a result that the region's own record holds. Raises FailedPrecondition:
        CERTIFICATES_NOT_ISSUED without a key of the region, RESULT_NOT_CERTIFIABLE, HOLDER_NAME_UNKNOWN; NotFound
        (RESULT_NOT_FOUND), Unavailable (SOURCES_UNREACHABLE)."""
        violations = Violations()
        person = violations.read(b"", lambda: self._application.admission.person(request.document))
        violations.add(fields.region(request.region))
        if request.source_id:
            violations.add(fields.source_id(request.source_id))
        violations.add(name_violations(request.name, purpose))
        violations.add(_format_violations(request))
        violations.refuse()
        now = to_datetime(self._clock()).astimezone(UTC).replace(microsecond=0)
        signer = self._sources.signers and self._sources.signers.of(request.region, now)
        if not signer:
            raise FailedPrecondition(
                "CERTIFICATES_NOT_ISSUED",
                "本网关没有该地区有效的签发密钥，不签发证书",
                "This gateway has no key of the region in force, and issues none of its certificates",
            )
        stated = stated_name(person)
        name = request.name if request.name.surname else known_name(self._sources.names, person, stated)
        evidence = await self._known(person, request.region, purpose)
        laboratories = laboratory_ids(current_call().caller)
        record = certifiable(evidence, request.region, request.source_id, tuple(laboratories) or None)
        holder = Holder(
            name.surname,
            name.given_name,
            date_of_birth(request.document.type, request.document.number) or (stated and stated.born),
            name.written_name,
        )
        identifier = certificate_identifier(record.region, _number(record))
        result = Result(
            sampled_at=to_datetime(from_timestamp(record.content.sampled_at)),
            positive=record.content.result == TestResult.TEST_RESULT_POSITIVE,
            laboratory=_laboratory_name(record, evidence),
            issuer=divisions()[record.region].name.zh,
            identifier=identifier,
        )
        valid_for = min(VALID_FOR, signer.ends_at - now)
        text = issue(
            holder,
            result,
            signer=signer.signer,
            key=signer.key,
            issued_at=now,
            valid_for=valid_for,
            provenance=self._provenance(record, person, identifier),
        )
        response = pb.IssueCertificateResponse(
            text=text,
            identifier=identifier,
            issued_at=to_timestamp(from_datetime(now)),
            expires_at=to_timestamp(from_datetime(now + valid_for)),
        )
        await self._draw(response, request.formats, signer.signer, now)
        return response

    async def _draw(
        self,
        response: pb.IssueCertificateResponse,
        formats: Collection[pb.CertificateFormat.ValueType],
        signer: Signer,
        now: datetime,
    ) -> None:
        """Fills in the forms that are asked for, and says which are left out."""
        text, forms = response.text, pb.CertificateFormat
        drawn: Sequence[
            tuple[pb.CertificateFormat.ValueType, OptionalPart.ValueType, str, Callable[[], str | bytes]]
        ] = (
            (forms.CERTIFICATE_FORMAT_QR_SVG, OptionalPart.OPTIONAL_PART_QR_SVG, "qr_svg", partial(qr_svg, text)),
            (forms.CERTIFICATE_FORMAT_QR_PNG, OptionalPart.OPTIONAL_PART_QR_PNG, "qr_png", partial(qr_png, text)),
            (forms.CERTIFICATE_FORMAT_PDF, OptionalPart.OPTIONAL_PART_PDF, "pdf", partial(_page, text, signer, now)),
        )
        missing: list[OptionalPart.ValueType] = []
        for form, part, field, draw in drawn:
            if form in formats:
                picture = await self._optional.make(part, draw)
                if picture is None:
                    missing.append(part)
                else:
                    setattr(response, field, picture)
        if missing:
            response.left_out.CopyFrom(left_out(missing))

    async def verify(
        self, request: pb.VerifyCertificateRequest, purpose: Purpose.ValueType, prior: Sequence[Violation] = ()
    ) -> pb.VerifyCertificateResponse:
        """Tells whether a certificate is believed, and why not. Raises FailedPrecondition (CERTIFICATES_NOT_VERIFIED)
        where no signer is trusted."""
        violations = Violations(prior)
        violations.add(fields.certificate(request.text))
        at = self._clock()
        if request.HasField("at"):
            at = violations.read(at, lambda: read_instant(request.at, "at"))
        violations.refuse()
        if self._sources.trust is None:
            raise FailedPrecondition(
                "CERTIFICATES_NOT_VERIFIED",
                "本网关没有受信的签发者，不能核验证书",
                "This gateway trusts no signer, and verifies no certificates",
            )
        trusted = self._sources.trust.trusted
        try:
            verified = verify(request.text, trusted.signers, to_datetime(at), trusted.revoked)
            checked = await self._check_standing(verified, purpose)
        except CertificateRefused as refused:
            text = TEXTS[refused.reason]
            return pb.VerifyCertificateResponse(reason=str(refused.reason), text=LocalizedText(zh=text.zh, en=text.en))
        return pb.VerifyCertificateResponse(verified=True, certificate=_view(verified, checked))

    async def present(
        self, request: pb.PresentCertificateRequest, purpose: Purpose.ValueType
    ) -> pb.PresentCertificateResponse:
        """Presents a certificate as evidence. What was cached about the person is gone when this returns, also when it
        fails, because it may have been done all the same."""
        violations = Violations()
        person = violations.read(b"", lambda: self._application.admission.person(request.document))
        violations.add(fields.region(request.region))
        violations.add(fields.certificate(request.text))
        violations.add(fields.request_id(request.request_id))
        violations.refuse()
        try:
            kept = await self._holders.PresentCertificate(
                holder_service_pb2.PresentCertificateRequest(
                    subject=Subject(person_key=person),
                    region=request.region,
                    certificate=request.text,
                    purpose=purpose,
                    request_id=request.request_id,
                )
            )
        finally:
            await self._application.codes.forget(person)
        record = kept.record
        record.ClearField("person_key")
        return pb.PresentCertificateResponse(record=record, created=kept.created)

    async def _known(self, person: bytes, region: str, purpose: Purpose.ValueType) -> Evidence:
        query = EvidenceQuery(subject=Subject(person_key=person), region=region, scope=Scope.SCOPE_NATIONAL)
        request = BatchGetEvidenceRequest(queries=[query], purpose=_ASKED_FOR.get(purpose, purpose))
        asked = await self._evidence.BatchGetEvidence(request)
        evidence = asked.evidence[0]
        if not evidence.records:
            count_unknown(1)
        return evidence

    async def _check_standing(self, verified: Verified, purpose: Purpose.ValueType) -> bool:
        """Tells whether the record that a certificate proves was looked at. Raises CertificateRefused (REVOKED) where
        it does not stand any more."""
        provenance = verified.claims.provenance
        if provenance is None or provenance.region not in verified.regions:
            return False
        person = self._sources.seal.open(provenance.holder, verified.identifier)
        if person is None:
            return False
        note_person(person)
        try:
            evidence = await self._known(person, provenance.region, purpose)
        except ServiceError:
            return False
        named = (provenance.region, provenance.source_id)
        record = next((one for one in evidence.records if (one.region, one.source_id) == named), None)
        if record is None:
            return False
        said = record.content.result == TestResult.TEST_RESULT_POSITIVE
        test = (verified.contents.t or [])[0]
        if said != test.positive or is_void(record, evidence):
            raise CertificateRefused(Reason.REVOKED)
        return True

    def _provenance(self, record: TestRecord, person: bytes, identifier: str) -> Provenance:
        content = record.content
        return Provenance(
            region=record.region,
            source_id=record.source_id,
            revision=record.revision,
            reported_at=to_datetime(from_timestamp(content.reported_at)),
            tube=content.tube,
            laboratory=content.laboratory,
            site=content.site,
            holder=self._sources.seal.seal(person, identifier),
        )


def _page(text: str, signer: Signer, now: datetime) -> bytes:
    # What is drawn is what a verifier reads.
    verified = verify(text, Trust([signer]), now)
    return certificate_pdf(text, verified.claims, verified.contents)


def _format_violations(request: pb.IssueCertificateRequest) -> list[Violation]:
    if _FORMATS.issuperset(request.formats):
        return []
    return violation("formats", "FORMAT_UNKNOWN", "格式应为 QR_SVG、QR_PNG 或 PDF", "A format is QR_SVG, QR_PNG or PDF")


def _number(record: TestRecord) -> str:
    """Returns the number of a record's certificate: it says nothing, and is the same each time."""
    said = f"{record.region}/{record.source_id}/{record.revision}".encode()
    return sha256(said).hexdigest()[:24].upper()


def _laboratory_name(record: TestRecord, evidence: Evidence) -> str:
    known = next((one for one in evidence.laboratories if one.laboratory == record.content.laboratory), None)
    name = known.display_name.zh if known is not None else ""
    return (name or record.content.laboratory)[:80]


def _view(verified: Verified, checked: bool) -> pb.CertificateView:
    contents = verified.contents
    view = pb.CertificateView(
        group=verified.kind,
        masked_name=masked(_written(contents.nam)),
        born=contents.dob[5:10] if len(contents.dob) >= 10 else "",
        issued_at=to_timestamp(from_datetime(verified.claims.issued_at)),
        expires_at=to_timestamp(from_datetime(verified.claims.expires_at)),
        region=next(iter(sorted(verified.regions)), ""),
        country=verified.claims.issuer,
        standing_checked=checked,
    )
    for test in contents.t or ():
        view.result = TestResult.TEST_RESULT_POSITIVE if test.positive else TestResult.TEST_RESULT_NEGATIVE
        view.nucleic_acid = test.nucleic_acid
        view.sampled_at.CopyFrom(to_timestamp(from_datetime(test.sampled_at)))
    return view


def _written(name: Name) -> str:
    standard = " ".join(part for part in (name.fnt, name.gnt) if part).replace("<", " ")
    return standard or " ".join(part for part in (name.fn, name.gn) if part)
