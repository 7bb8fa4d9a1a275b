"""Looks at the certificates that services show, also at those that have ended: nobody else could say that they have."""

import asyncio
import ssl

from cryptography import x509

from cli.diagnosis.facts import CertificateFacts
from services.common.instants import SECOND, Instant
from services.runtime.clock import system_clock


async def shown_certificate(name: str, target: str, seconds: float) -> CertificateFacts | None:
    """Returns what the certificate says that is shown at a gRPC name or `host:port`; None where there is none, or
    nobody, within `seconds`. Whose it is, is not asked here."""
    host, _, port = target.rpartition("/")[2].rpartition(":")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    # One that has ended is to be read too. In TLS 1.3 it comes before the caller is asked for its own.
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols(["h2"])
    try:
        async with asyncio.timeout(seconds):
            _, writer = await asyncio.open_connection(host.strip("[]"), int(port), ssl=context)
    except (OSError, ValueError, TimeoutError):
        return None
    connection = writer.get_extra_info("ssl_object")
    shown = connection.getpeercert(binary_form=True)
    writer.transport.abort()
    if not shown:
        return None
    certificate = x509.load_der_x509_certificate(shown)
    begins, ends = certificate.not_valid_before_utc.timestamp(), certificate.not_valid_after_utc.timestamp()
    return CertificateFacts(name, system_clock(), Instant(round(begins * SECOND)), Instant(round(ends * SECOND)))
