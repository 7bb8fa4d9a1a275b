"""The copy of a result that a certificate proves. Pure."""

from collections.abc import Iterable

from hutong.records.v1.record_pb2 import (
    Channel,
    Origin,
    RecordContent,
    RecordKind,
    RevisionAction,
    TestRecord,
    TestResult,
)

from services.certificates.provenance import Provenance
from services.certificates.refusals import CertificateRefused, Reason
from services.certificates.schema.contents import Test
from services.certificates.verification import Verified
from services.common.instants import from_datetime, to_timestamp
from services.lookup.domain.claims import Claim, copy_id


def proven_record(verified: Verified) -> tuple[Test, Provenance]:
    """Returns the nucleic-acid test of a certificate, and the record of its region that it proves. Raises
    CertificateRefused: NO_NUCLEIC_ACID_TEST, HOLDER_NOT_NAMED where it names neither record nor holder, ISSUER_WRONG
    where the record is not of the region that signed."""
    test = next(iter(verified.contents.t or ()), None)
    if test is None or not test.nucleic_acid:
        raise CertificateRefused(Reason.NO_NUCLEIC_ACID_TEST)
    provenance = verified.claims.provenance
    if provenance is None:
        raise CertificateRefused(Reason.HOLDER_NOT_NAMED)
    if provenance.region not in verified.regions:
        raise CertificateRefused(Reason.ISSUER_WRONG, f"names a record of {provenance.region}")
    return test, provenance


def certified_copy(test: Test, provenance: Provenance) -> Claim:
    """Returns the copy that a region keeps of what a certificate proves."""
    result = TestResult.TEST_RESULT_POSITIVE if test.positive else TestResult.TEST_RESULT_NEGATIVE
    content = RecordContent(
        kind=RecordKind.RECORD_KIND_RESULT,
        sampled_at=to_timestamp(from_datetime(test.sampled_at)),
        result=result,
        tube=provenance.tube,  # type: ignore[arg-type]  # an open enum; the region's store refuses a wrong one
        laboratory=provenance.laboratory,
        site=provenance.site,
        channel=Channel.CHANNEL_CERTIFICATE,
        reported_at=to_timestamp(from_datetime(provenance.reported_at)),
        origin=Origin(region=provenance.region, source_id=provenance.source_id, revision=provenance.revision),
    )
    return Claim(copy_id("cert", provenance.region, provenance.source_id), content)


def require_standing(records: Iterable[TestRecord], provenance: Provenance, positive: bool) -> None:
    """Raises CertificateRefused (REVOKED) where the record that a certificate proves is known, and was withdrawn or
    says another result now."""
    for record in records:
        if (record.region, record.source_id) != (provenance.region, provenance.source_id):
            continue
        said = TestResult.TEST_RESULT_POSITIVE if positive else TestResult.TEST_RESULT_NEGATIVE
        other = record.content.kind == RecordKind.RECORD_KIND_RESULT and record.content.result != said
        if record.action == RevisionAction.REVISION_ACTION_RETRACTED or other:
            raise CertificateRefused(Reason.REVOKED)
