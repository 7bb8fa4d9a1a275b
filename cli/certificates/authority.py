"""An authority of certificates that lives in a folder: for development, tests, and a region that has none yet."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from services.runtime.tls.identity import Principal, dns_name

AUTHORITY_DAYS = 365
SKEW = timedelta(minutes=5)
"""How long before its making a certificate begins: clocks differ."""


def subject_name(text: str) -> x509.Name:
    """Returns the name of a certificate's subject."""
    parts = {NameOID.ORGANIZATION_NAME: "hutong", NameOID.COMMON_NAME: text}
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in parts.items()])


def write_private(path: Path, pem: bytes) -> None:
    """Writes a file that its owner alone reads (mode 0600)."""
    path.touch(mode=0o600)
    path.write_bytes(pem)


def pem_key(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Returns a private key as PEM (PKCS #8, not encrypted)."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@dataclass(frozen=True)
class Authority:
    """A certificate authority: P-256 keys, ECDSA with SHA-256."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        """The authority's certificate."""
        return self.certificate.public_bytes(Encoding.PEM)

    def issue(self, principal: Principal, folder: Path, *, days: float, now: datetime) -> None:
        """Writes tls.crt and tls.key (mode 0600) for a name, valid for so many days, in place of what is there."""
        key = ec.generate_private_key(ec.SECP256R1())
        begins = now - SKEW
        names = [x509.UniformResourceIdentifier(principal), x509.DNSName(dns_name(principal))]
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject_name(dns_name(principal)[:64]))
            .issuer_name(self.certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begins)
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
                critical=False,
            )
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        # The key first, each in one step: who reads between the two keeps what he had.
        for name, pem in (("tls.key", pem_key(key)), ("tls.crt", certificate.public_bytes(Encoding.PEM))):
            beside = folder / f".{name}.new"
            write_private(beside, pem)
            beside.replace(folder / name)


def make_authority(name: str, now: datetime) -> Authority:
    """Returns a new authority, valid for a year."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = subject_name(name)
    usage = x509.KeyUsage(
        digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SKEW)
        .not_valid_after(now + timedelta(days=AUTHORITY_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Authority(certificate, key)


def kept_authority(folder: Path, name: str, now: datetime) -> Authority:
    """Returns the authority that a folder keeps (ca.crt, ca.key), made when there is none or it ends within a day."""
    certificate_path, key_path = folder / "ca.crt", folder / "ca.key"
    if certificate_path.exists() and key_path.exists():
        certificate = x509.load_pem_x509_certificate(certificate_path.read_bytes())
        key = load_pem_private_key(key_path.read_bytes(), None)
        if isinstance(key, ec.EllipticCurvePrivateKey) and certificate.not_valid_after_utc > now + timedelta(days=1):
            return Authority(certificate, key)
    authority = make_authority(name, now)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_private(key_path, pem_key(authority.key))
    certificate_path.write_bytes(authority.pem)
    return authority


def utc_now() -> datetime:
    """Returns the machine's clock in UTC, as certificates count."""
    return datetime.now(UTC)
