"""The text of an HCERT: `HC1:`, base45 (RFC 9285), zlib, around the signed bytes. The size is bounded at each step.

The source is "Electronic Health Certificates" (eHealth Network, hcert-spec 1.0.5), section 4.
"""

import zlib

import base45

from services.certificates.refusals import CertificateRefused, Reason

PREFIX = "HC1:"
# A QR code holds at most 4,296 alphanumeric characters (ISO/IEC 18004, version 40, level L).
MAX_TEXT = 4_296
MAX_SIGNED_BYTES = 16_384


def unwrapped(text: str) -> bytes:
    """Returns the signed bytes of a certificate's text. Raises CertificateRefused."""
    text = text.strip("\r\n\t")
    if not text.startswith(PREFIX):
        raise CertificateRefused(Reason.PREFIX_UNKNOWN)
    if len(text) > MAX_TEXT:
        raise CertificateRefused(Reason.CERTIFICATE_TOO_LARGE, f"{len(text)} characters, at most {MAX_TEXT}")
    try:
        compressed = base45.b45decode(text.removeprefix(PREFIX))
    except ValueError as error:
        raise CertificateRefused(Reason.BASE45_MALFORMED) from error
    inflater = zlib.decompressobj()
    try:
        signed = inflater.decompress(compressed, MAX_SIGNED_BYTES)
    except zlib.error as error:
        raise CertificateRefused(Reason.COMPRESSION_MALFORMED) from error
    if inflater.unconsumed_tail:
        raise CertificateRefused(Reason.CERTIFICATE_TOO_LARGE, f"more than {MAX_SIGNED_BYTES} bytes within")
    if not inflater.eof or inflater.unused_data:
        raise CertificateRefused(Reason.COMPRESSION_MALFORMED)
    return signed


def wrapped(signed: bytes) -> str:
    """Returns a certificate's text, for a QR code in alphanumeric mode."""
    encoded: bytes = base45.b45encode(zlib.compress(signed, 9))
    return PREFIX + encoded.decode("ascii")
