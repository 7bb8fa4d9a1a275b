"""The refusal of a certificate as an error of the contracts."""

from services.certificates.refusals import TEXTS, CertificateRefused
from services.common.errors import Code, ServiceError


class CertificateNotBelieved(ServiceError):
    """The error of a certificate that is not believed: FAILED_PRECONDITION, with the refusal's own reason."""

    def __init__(self, refused: CertificateRefused) -> None:
        super().__init__(Code.FAILED_PRECONDITION, str(refused.reason), TEXTS[refused.reason])
