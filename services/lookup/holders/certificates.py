"""Presents certificates: what one proves becomes part of a region's own record, if it is of who presents it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hutong.common.v1.subject_pb2 import Purpose

from services.certificates.errors import CertificateNotBelieved
from services.certificates.holders import HolderSeal
from services.certificates.refusals import CertificateRefused, Reason
from services.certificates.trust_folder import TrustFolder
from services.certificates.verification import verify
from services.common.errors import ServiceError
from services.common.instants import Instant, to_datetime
from services.lookup.domain import claims
from services.lookup.evidence.gatherer import Gatherer
from services.lookup.holders.certified import certified_copy, proven_record, require_standing
from services.lookup.holders.claims import (
    ATTEMPTS,
    Claimed,
    gather_in,
    intake_of,
    write_copy,
    written_meanwhile,
)
from services.lookup.ports import RecordsIntake


@dataclass(frozen=True, slots=True)
class BelievedCertificates:
    """The means to believe certificates: the signers that are trusted, and what opens whose a certificate is."""

    trust: TrustFolder
    seal: HolderSeal


class CertificateKeeper:
    """Verifies certificates that people present, and writes copies of what they prove."""

    def __init__(
        self,
        believed: BelievedCertificates,
        gatherer: Gatherer,
        intakes: Mapping[str, RecordsIntake],
        clock: Callable[[], Instant],
    ) -> None:
        self._believed = believed
        self._gatherer = gatherer
        self._intakes = dict(intakes)
        self._clock = clock

    async def present(
        self, key: bytes, region: str, certificate: str, purpose: Purpose.ValueType, request_id: str
    ) -> Claimed:
        """Keeps what a certificate proves in a region's record. Twice is once.

        Where the record itself is known, it must still say what the certificate says; where its region cannot be asked,
        the signature alone speaks for it, and the record has the last word when it comes.

        Raises FailedPrecondition: why the certificate is not believed (`services/certificates/refusals.py`),
        RESULT_IS_LOCAL, REGION_NOT_ON_MESH, CLAIM_RETRACTED; and what the region's store raises.
        """
        intake = intake_of(self._intakes, region)
        try:
            return await self._present(intake, key, region, certificate, purpose, request_id)
        except CertificateRefused as refused:
            raise CertificateNotBelieved(refused) from None

    async def _present(
        self,
        intake: RecordsIntake,
        key: bytes,
        region: str,
        certificate: str,
        purpose: Purpose.ValueType,
        request_id: str,
    ) -> Claimed:
        trusted = self._believed.trust.trusted
        verified = verify(certificate, trusted.signers, to_datetime(self._clock()), trusted.revoked)
        test, provenance = proven_record(verified)
        holder = self._believed.seal.open(provenance.holder, verified.identifier)
        if holder is None:
            raise CertificateRefused(Reason.HOLDER_NOT_NAMED)
        if provenance.region == region:
            raise claims.result_is_local()
        wanted = certified_copy(test, provenance)
        asked = (region, provenance.region) if provenance.region in self._intakes else (region,)
        for attempt in range(1, ATTEMPTS + 1):
            gathered = await gather_in(self._gatherer, key, asked, purpose)
            if holder not in gathered[0].person_keys:
                raise CertificateRefused(Reason.OTHER_HOLDER)
            records = [record for evidence in gathered for record in evidence.records]
            require_standing(records, provenance, test.positive)
            copy = claims.copy_in(records, region, wanted.source_id)
            try:
                return await write_copy(intake, key, region, wanted, copy, request_id)
            except ServiceError as error:
                if not written_meanwhile(error) or attempt == ATTEMPTS:
                    raise
        raise AssertionError("the last attempt returns or raises")
