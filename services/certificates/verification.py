"""Verification: the stages in their order, each with its reason, and what a verified certificate says."""

from dataclasses import dataclass
from datetime import datetime

from services.certificates.claims import Claims, claims
from services.certificates.envelope import unwrapped
from services.certificates.identifiers import region_of_identifier
from services.certificates.refusals import CertificateRefused, Reason
from services.certificates.revocation import Revocations
from services.certificates.schema.contents import Contents, contents
from services.certificates.signature import verified_payload
from services.certificates.trust import Kind, Signer, Trust
from services.runtime.tls.identity import region_of


@dataclass(frozen=True)
class Verified:
    """A certificate that passed every stage."""

    claims: Claims
    contents: Contents
    signer: Signer
    kind: Kind

    @property
    def identifier(self) -> str:
        """Returns the certificate's identifier (UVCI)."""
        contents = self.contents
        identifiers: list[str] = [one.ci for one in (*(contents.t or ()), *(contents.v or ()), *(contents.r or ()))]
        return identifiers[0]

    @property
    def regions(self) -> frozenset[str]:
        """Returns the regions in whose name the signer signs, by its certificate's names; none where it names none."""
        return frozenset(region_of(name) for name in self.signer.names) - {""}


NONE_REVOKED = Revocations()


def verify(text: str, trust: Trust, at: datetime, revoked: Revocations = NONE_REVOKED) -> Verified:
    """Returns what a certificate says, if it is believed at an instant (aware) and is not among those that were
    revoked. Raises CertificateRefused."""
    payload, signer = verified_payload(unwrapped(text), trust)
    read = claims(payload)
    read.check(at)
    if not signer.in_force(at):
        raise CertificateRefused(Reason.SIGNER_NOT_IN_FORCE)
    kinds = [kind for kind in Kind if read.contents.get(kind)]
    for kind in kinds:
        if kind not in signer.kinds:
            raise CertificateRefused(Reason.KEY_USAGE_WRONG, f"not for the group {kind}")
    verified = Verified(read, contents(read.contents), signer, kinds[0])
    _check_region(verified)
    if verified.contents.dob > read.issued_at.date().isoformat():
        raise CertificateRefused(Reason.SCHEMA_VIOLATED, "dob: after the certificate was issued")
    if revoked.hold(verified.identifier):
        raise CertificateRefused(Reason.REVOKED)
    return verified


def _check_region(verified: Verified) -> None:
    """Raises CertificateRefused where a signer of one region signed in the name of another, or of another country."""
    regions = verified.regions
    if not regions:
        return
    for test in verified.contents.t or []:
        if region_of_identifier(test.ci) not in regions:
            raise CertificateRefused(Reason.ISSUER_WRONG, f"signed by {', '.join(sorted(regions))}")
