"""Signers of test certificates, for development: a key and a certificate that signs itself."""

from collections.abc import Iterable
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
OVERLAP = timedelta(days=30)
"""How long before a signer ends the next one is made: certificates of the last one live for a week."""


def keep_signers(folder: Path, regions: Iterable[str], now: datetime) -> None:
    """Makes a signer for each region that has none in a folder, or one that ends soon. What is there stays: what it
    signed is still verified."""
    kept = {path.stem for path in folder.glob("*.key")} if folder.is_dir() else set()
    for region in regions:
        own = [name for name in kept if name.partition("-")[0] == region]
        ends = [x509.load_pem_x509_certificate((folder / f"{name}.pem").read_bytes()) for name in own]
        if not any(certificate.not_valid_after_utc > now + OVERLAP for certificate in ends):
            write_signer(folder, region, now, f"{region}-{now:%Y%m%d}" if own else region)


def write_signer(folder: Path, region: str, now: datetime, name: str = "") -> tuple[Path, Path]:
    """Writes a region's signer of tests (P-256, a year), its key with mode 0600, under a name, by default the region's
    code; returns the paths of both."""
    key = ec.generate_private_key(ec.SECP256R1())
    uri = principal(f"region/{region}/certificates")
    subject = subject_name(f"certificates {region}")
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SKEW)
        .not_valid_after(now + timedelta(days=DAYS))
        .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([x509.ObjectIdentifier(TEST_USAGE)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    certificate_path, key_path = folder / f"{name or region}.pem", folder / f"{name or region}.key"
    write_private(key_path, pem_key(key))
    certificate_path.write_bytes(certificate.public_bytes(Encoding.PEM))
    return certificate_path, key_path
