"""A certificate passes every stage, or is refused with the reason of the first stage that it fails."""

import zlib
from datetime import timedelta

import base45
import cbor2
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from hypothesis import given, settings
from hypothesis import strategies as st

from services.certificates.envelope import unwrapped
from services.certificates.identifiers import certificate_identifier, region_of_identifier
from services.certificates.keys import KeyUnusable
from services.certificates.refusals import TEXTS, CertificateRefused, Reason
from services.certificates.trust import Trust, trust_of
from services.certificates.verification import verify
from tests.testkit.certificates import (
    KEY,
    NOW,
    SIGNER,
    Key,
    around,
    certificate,
    claims,
    entry,
    refusal,
    signed,
    signer,
)

RECOVERY_USAGE = "1.3.6.1.4.1.1847.2021.1.3"


@pytest.mark.parametrize(
    "key",
    [KEY, rsa.generate_private_key(65_537, 2_048), ed25519.Ed25519PrivateKey.generate()],
    ids=["ES256", "PS256", "Ed25519"],
)
def test_a_certificate_is_verified_by_each_algorithm(key):
    """What was issued is what is read: the holder, the test, its instant in UTC, the signer."""
    by = signer(key)
    verified = verify(certificate(by, key), Trust([by]), NOW)
    assert verified.contents.t is not None
    test = verified.contents.t[0]
    assert (test.nucleic_acid, test.positive, test.sc) == (True, False, "2022-08-04T20:00:00+00:00")
    assert (verified.contents.nam.fn, verified.contents.dob) == ("王小明", "1990-01-02")
    assert (verified.claims.expires_at - NOW, verified.signer) == (timedelta(days=3), by)


def _checked_by_hand(key: Key, message: bytes, signature: bytes) -> None:
    public = key.public_key()
    if isinstance(public, ec.EllipticCurvePublicKey):
        halves = (int.from_bytes(signature[:32]), int.from_bytes(signature[32:]))
        public.verify(encode_dss_signature(*halves), message, ec.ECDSA(hashes.SHA256()))
    elif isinstance(public, rsa.RSAPublicKey):
        public.verify(signature, message, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
    else:
        public.verify(signature, message)


@pytest.mark.parametrize(
    "key", [KEY, rsa.generate_private_key(65_537, 2_048), ed25519.Ed25519PrivateKey.generate()], ids=["EC", "RSA", "Ed"]
)
def test_another_reader_finds_the_signature_right(key):
    """RFC 9052's structure, built without the library that signed, verifies under the signer's key."""
    by = signer(key)
    message = cbor2.loads(zlib.decompress(base45.b45decode(certificate(by, key)[4:])))
    protected, unprotected, payload, signature = message.value
    assert (message.tag, unprotected, cbor2.loads(protected)[4]) == (18, {}, by.key_id)
    _checked_by_hand(key, cbor2.dumps(["Signature1", protected, b"", payload]), signature)


def altered(text: str) -> str:
    """Returns a certificate whose payload says positive, under the signature of the negative one."""
    message = cbor2.loads(unwrapped(text))
    message.value[2] = message.value[2].replace(b"260415000", b"260373001")
    return around(cbor2.dumps(message))


WRONG = {
    "nothing": ("", Reason.PREFIX_UNKNOWN),
    "another version": ("HC2:" + certificate()[4:], Reason.PREFIX_UNKNOWN),
    "no prefix": (certificate()[4:], Reason.PREFIX_UNKNOWN),
    "too long": ("HC1:" + "A" * 5_000, Reason.CERTIFICATE_TOO_LARGE),
    "a zip bomb": (around(bytes(1_000_000)), Reason.CERTIFICATE_TOO_LARGE),
    "letters of no alphabet": ("HC1:***a", Reason.BASE45_MALFORMED),
    "a letter left over": (certificate() + "X" * (1 + (4 - len(certificate())) % 3), Reason.BASE45_MALFORMED),
    "no bytes": ("HC1:", Reason.COMPRESSION_MALFORMED),
    "not compressed": ("HC1:" + base45.b45encode(unwrapped(certificate())).decode(), Reason.COMPRESSION_MALFORMED),
    "cut": ("HC1:" + base45.b45encode(zlib.compress(b"x" * 99)[:-4]).decode(), Reason.COMPRESSION_MALFORMED),
    "nested without end": (around(b"\x9f" * 5_000), Reason.CBOR_MALFORMED),
    "another structure": (around(cbor2.dumps([1, 2])), Reason.CBOR_MALFORMED),
    "another signer": (certificate(signer(KEY, days=9)), Reason.SIGNER_UNKNOWN),
    "altered": (altered(certificate()), Reason.SIGNATURE_WRONG),
    "claims that are a text": (signed("no claims"), Reason.CLAIMS_MALFORMED),
    "an end that is a text": (signed(claims() | {4: "later"}), Reason.CLAIMS_MALFORMED),
    "an end that is no number": (signed(claims() | {4: float("nan")}), Reason.CLAIMS_MALFORMED),
    "an end past all time": (signed(claims() | {4: 10**400}), Reason.CLAIMS_MALFORMED),
    "contents that are a list": (signed(claims() | {-260: {1: [1]}}), Reason.CLAIMS_MALFORMED),
    "no entry": (signed(claims(t=[])), Reason.SCHEMA_VIOLATED),
    "two entries": (signed(claims(t=[entry(), entry()])), Reason.SCHEMA_VIOLATED),
    "a birth in another order": (signed(claims(dob="2.1.1990")), Reason.SCHEMA_VIOLATED),
    "a birth to come": (signed(claims(dob="2022-08-06")), Reason.SCHEMA_VIOLATED),
    "no standard name": (signed(claims(nam={"fn": "王"})), Reason.SCHEMA_VIOLATED),
    "small letters": (signed(claims(nam={"fnt": "Wang"})), Reason.SCHEMA_VIOLATED),
    "no such result": (signed(claims(t=[entry(tr="maybe")])), Reason.SCHEMA_VIOLATED),
    "a time without zone": (signed(claims(t=[entry(sc="2022-08-05 12:00")])), Reason.SCHEMA_VIOLATED),
    "no time": (signed(claims(t=[entry(sc=None)])), Reason.SCHEMA_VIOLATED),
    "no such device": (signed(claims(t=[entry(tt="LP217198-3", ma="9999")])), Reason.SCHEMA_VIOLATED),
    "a long laboratory": (signed(claims(t=[entry(tc="x" * 81)])), Reason.SCHEMA_VIOLATED),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_refused_with_the_reason_of_its_stage(case):
    """Each stage has its own reason."""
    text, reason = WRONG[case]
    assert reason == refusal(text)


def test_validity_is_held_against_the_clock_that_is_given():
    """Both ends belong to the time of validity."""
    text = certificate()
    assert Reason.NOT_YET_VALID == refusal(text, at=NOW - timedelta(seconds=1))
    assert Reason.EXPIRED == refusal(text, at=NOW + timedelta(days=3, seconds=1))
    for at in (NOW, NOW + timedelta(days=3)):
        assert verify(text, Trust([SIGNER]), at)


def test_a_signer_must_be_in_force():
    """A certificate outlives no signer."""
    by = signer(KEY, days=1)
    assert Reason.SIGNER_NOT_IN_FORCE == refusal(certificate(by), by, at=NOW + timedelta(days=2))


def test_a_signer_signs_what_its_certificate_says():
    """A key usage for recoveries signs no test, one that is unknown signs nothing, and none at all signs everything."""
    for usage in (RECOVERY_USAGE, "1.3.6.1.5.5.7.3.1"):
        by = signer(KEY, usage=usage)
        assert Reason.KEY_USAGE_WRONG == refusal(signed(claims(), by), by)
        with pytest.raises(ValueError, match="does not allow"):
            certificate(by)
    by = signer(KEY, usage=None)
    assert verify(signed(claims(), by), Trust([by]), NOW)


def test_a_region_signs_in_its_own_name_alone():
    """Hunan's signer proves no result of Beijing's, nor of another country's."""
    assert Reason.ISSUER_WRONG == refusal(certificate(region="110000"))
    assert Reason.ISSUER_WRONG == refusal(signed(claims(t=[entry(ci="URN:UVCI:01:AT:B5921A35#I")])))
    foreign = signer(KEY, region="")
    assert verify(signed(claims(t=[entry(ci="URN:UVCI:01:AT:B5921A35#I")]), foreign), Trust([foreign]), NOW)


def test_an_algorithm_that_the_key_is_not_for_is_refused():
    """The header's algorithm is held against the key: what says PS256 is not checked as ES256."""
    message = cbor2.loads(unwrapped(certificate()))
    protected = cbor2.loads(message.value[0]) | {1: -37}
    content = cbor2.dumps(["Signature1", cbor2.dumps(protected), b"", message.value[2]])
    r, s = decode_dss_signature(KEY.sign(content, ec.ECDSA(hashes.SHA256())))
    message.value[0], message.value[3] = cbor2.dumps(protected), r.to_bytes(32) + s.to_bytes(32)
    assert Reason.SIGNATURE_WRONG == refusal(around(cbor2.dumps(message)))


def test_a_key_of_another_kind_is_no_signers():
    """P-384 and short RSA are refused when trust is read, and the file is named."""
    with pytest.raises(KeyUnusable):
        signer(ec.generate_private_key(ec.SECP384R1()))


def test_trust_is_a_folder_of_certificates(tmp_path):
    """Every certificate is a signer; what is none is named; other files are left alone."""
    (tmp_path / "430000.pem").write_bytes(SIGNER.certificate.public_bytes(serialization.Encoding.PEM))
    (tmp_path / "notes.txt").write_text("notes")
    assert verify(certificate(), trust_of(tmp_path), NOW)
    (tmp_path / "bad.pem").write_text("nothing")
    with pytest.raises(ValueError, match=r"bad\.pem"):
        trust_of(tmp_path)


def test_issuing_with_anothers_key_is_refused():
    """A certificate that nobody could verify is not issued."""
    with pytest.raises(ValueError, match="not that of"):
        certificate(SIGNER, ec.generate_private_key(ec.SECP256R1()))


def test_every_reason_has_its_words():
    """In both languages."""
    assert set(TEXTS) == set(Reason)
    assert all(text.zh and text.en.isascii() for text in TEXTS.values())


@given(st.text(alphabet="ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=1, max_size=20))
def test_an_identifier_names_its_region(number):
    """And one slip in it is noticed."""
    identifier = certificate_identifier("430000", number)
    assert "430000" == region_of_identifier(identifier)
    assert not region_of_identifier(identifier.replace("430000", "430001"))


@given(st.binary(max_size=300))
def test_no_bytes_break_the_reader(noise):
    """Whatever is scanned is refused, never an error of the program."""
    for text in (noise.decode("latin-1"), around(noise)):
        with pytest.raises(CertificateRefused):
            verify(text, Trust([SIGNER]), NOW)


_TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.binary(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.integers(-260, 8) | st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=40)
@given(_TREES)
def test_no_claims_break_the_reader(tree):
    """Anything that a trusted signer signed is read or refused."""
    for content in (tree, claims() | {-260: tree}, claims() | {-260: {1: tree}}, claims(t=tree), claims(t=[tree])):
        with pytest.raises(CertificateRefused):
            verify(signed(content), Trust([SIGNER]), NOW)
