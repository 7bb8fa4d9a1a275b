"""A region's own authority puts that region's name into a certificate, or what it made is refused in so many words."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID

from services.common.instants import SECOND, Instant
from services.runtime.tls.trust import Trust, UntrustedError

NOW = datetime.now(UTC)
AT = Instant(int(NOW.timestamp() * SECOND))
OWN = "spiffe://hutong/region/430000/system"
BROKEN = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"

Authority = tuple[ec.EllipticCurvePrivateKey, x509.Certificate]


def authority(name: str) -> Authority:
    """Returns an authority's key and certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
    builder = (
        x509.CertificateBuilder(subject, subject, key.public_key(), 1, NOW - timedelta(1), NOW + timedelta(9))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return key, builder.sign(key, hashes.SHA256())


MESH, HUNAN = authority("mesh"), authority("Hunan")
TRUST = Trust({name: one[1].public_bytes(Encoding.PEM) for name, one in (("mesh", MESH), ("430000", HUNAN))})


def certificate(names: x509.ExtensionType, by: Authority = HUNAN) -> bytes:
    """Returns a certificate of these alternative names, PEM."""
    key, issuer = by
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    builder = (
        x509.CertificateBuilder(issuer.subject, x509.Name([]), public, 5, NOW - timedelta(1), NOW + timedelta(5))
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(names, critical=True)
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


def named(*uris: str, dns: str = "") -> x509.SubjectAlternativeName:
    """Returns alternative names of these URIs, and of one in the DNS."""
    others = [x509.DNSName(dns)] if dns else []
    return x509.SubjectAlternativeName([*(x509.UniformResourceIdentifier(uri) for uri in uris), *others])


def encoded(*parts: tuple[int, bytes]) -> x509.UnrecognizedExtension:
    """Returns alternative names as they are written into a certificate (DER): tags and contents."""
    content = b"".join(bytes([tag, len(part)]) + part for tag, part in parts)
    return x509.UnrecognizedExtension(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, bytes([0x30, len(content)]) + content)


@pytest.mark.parametrize("names", [named(OWN), named(OWN, dns="records.nation.hutong")], ids=["alone", "with a host"])
def test_its_own_name_is_what_it_may_say(names: x509.ExtensionType):
    """A host's name beside it makes it nobody else."""
    assert OWN == TRUST.principal_of(certificate(names), b"", AT)[0]


STRANGE = {
    "another region": named("spiffe://hutong/region/110000/system"),
    "the nation": named("spiffe://hutong/nation/records"),
    "the gateway": named("spiffe://hutong/mesh/gateway"),
    "nobody of the region": named("spiffe://hutong/region/430000"),
    "an empty segment": named(f"{OWN}/"),
    "two slashes": named("spiffe://hutong//region/430000/system"),
    "dots": named("spiffe://hutong/region/430000/../../nation/records"),
    "escaped dots": named("spiffe://hutong/region/430000/%2e%2e/%2e%2e/nation/records"),
    "another domain": named("spiffe://hutong.example/region/430000/system"),
    "capitals": named("spiffe://HUTONG/region/430000/system"),
    "another scheme": named("SPIFFE://hutong/region/430000/system"),
    "a port": named("spiffe://hutong:443/region/430000/system"),
    "a user": named("spiffe://nation@hutong/region/430000/system"),
    "a query": named(f"{OWN}?nation"),
    "a fragment": named(f"{OWN}#nation"),
    "two names": named(OWN, "spiffe://hutong/nation/records"),
    "a name and an address": named(OWN, "https://example.cn"),
    "a host alone": named(dns="records.nation.hutong"),
    "another script": encoded((0x86, f"{OWN}ü".encode())),
    "a zero byte": encoded((0x86, f"{OWN}\0".encode())),
    "a new line": encoded((0x86, f"{OWN}\n".encode())),
    "no names": x509.UnrecognizedExtension(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, b""),
    "bytes": x509.UnrecognizedExtension(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, b"\1\2\3"),
    "a kind that nobody knows": encoded((0xA3, b"\x30\0"), (0x86, OWN.encode())),
    "half an address": encoded((0x87, b"\1\2\3"), (0x86, OWN.encode())),
    "a broken host": encoded((0x82, b"\xff"), (0x86, OWN.encode())),
    "a broken mail address": encoded((0x81, b"\xff"), (0x86, OWN.encode())),
}


@pytest.mark.parametrize("names", STRANGE.values(), ids=STRANGE)
def test_nothing_else_is_believed(names: x509.ExtensionType):
    """And none of it is an error that nobody expected."""
    with pytest.raises(UntrustedError):
        TRUST.principal_of(certificate(names), b"", AT)


def test_what_comes_along_may_be_broken():
    """A chain that is none is refused too; and an authority of the mesh names no region that has its own."""
    for shown, chain in (
        (certificate(named(OWN)), BROKEN),
        (BROKEN, b""),
        (b"", b""),
        (certificate(named(OWN), MESH), b""),
    ):
        with pytest.raises(UntrustedError):
            TRUST.principal_of(shown, chain, AT)
