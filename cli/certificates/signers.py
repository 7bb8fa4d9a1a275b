"""Signers of test certificates, for development: a key and a certificate that signs itself."""

from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from cli.certificates.authority import SKEW, pem_key, subject_name, write_private
from services.certificates.trust import TEST_USAGE
from services.runtime.tls.identity import principal

DAYS = 365


def write_signer(folder: Path, region: str, now: datetime) -> tuple[Path, Path]:
    """Writes a region's signer of tests (P-256, a year), its key with mode 0600; returns the paths of both."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = principal(f"region/{region}/certificates")
    subject = subject_name(f"certificates {region}")
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SKEW)
        .not_valid_after(now + timedelta(days=DAYS))
        .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(name)]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([x509.ObjectIdentifier(TEST_USAGE)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    certificate_path, key_path = folder / f"{region}.pem", folder / f"{region}.key"
    write_private(key_path, pem_key(key))
    certificate_path.write_bytes(certificate.public_bytes(Encoding.PEM))
    return certificate_path, key_path
