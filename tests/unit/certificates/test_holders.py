"""A certificate names its holder to the mesh alone, and the record that it proves; signers and lists come and go."""

import os
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hutong.common.v1.subject_pb2 import DocumentType

from cli.certificates.signers import DAYS, OVERLAP, keep_signers, write_signer
from gateway.certificates.names import passport_letters
from gateway.certificates.signers import SignerFolder
from services.certificates.holders import HolderSeal
from services.certificates.issuing import issue
from services.certificates.provenance import Provenance
from services.certificates.refusals import CertificateRefused, Reason
from services.certificates.revocation import identifier_hash, read_revocations
from services.certificates.trust import Trust
from services.certificates.trust_folder import LOOK_SECONDS, TrustFolder
from services.certificates.verification import verify
from services.common.documents import PersonKeys
from services.common.mesh_secret import MeshSecret, mesh_secret_text
from tests.testkit.certificates import HOLDER, KEY, NOW, SIGNER, certificate, pem, result
from tests.testkit.secret import SECRET

ROOT_SECRET, FIRST, SECOND = b"root of sixteen bytes", b"first of sixteen bytes", b"second of sixteen bytes"
OLD = mesh_secret_text(MeshSecret(ROOT_SECRET, {1: FIRST, 2: SECOND}, 1))
NEW = mesh_secret_text(MeshSecret(ROOT_SECRET, {1: FIRST, 2: SECOND}, 2))
PASSPORT = (DocumentType.DOCUMENT_TYPE_PASSPORT, "E12345678")
IDENTIFIER = "URN:UVCI:01:CN:430000/ABC#X"


def test_the_mesh_alone_tells_whose_a_certificate_is():
    """Another mesh does not, nor does the same mesh for another certificate, nor after a bit was changed."""
    person = PersonKeys(SECRET.encode()).of_number(*PASSPORT)
    seal = HolderSeal(SECRET)
    sealed = seal.seal(person, IDENTIFIER)
    assert person == seal.open(sealed, IDENTIFIER)
    assert person not in sealed
    assert seal.seal(person, IDENTIFIER + "2") != sealed
    assert seal.open(sealed, IDENTIFIER + "2") is None
    assert seal.open(sealed[:-1] + bytes([sealed[-1] ^ 1]), IDENTIFIER) is None
    assert seal.open(b"", IDENTIFIER) is None
    assert HolderSeal("another secret of the tests").open(sealed, IDENTIFIER) is None


def test_a_certificate_outlives_a_change_of_the_secret():
    """What was sealed under the old version opens as the person's key under the new one."""
    sealed = HolderSeal(OLD).seal(PersonKeys(OLD.encode()).of_number(*PASSPORT), IDENTIFIER)
    assert PersonKeys(NEW.encode()).of_number(*PASSPORT) == HolderSeal(NEW).open(sealed, IDENTIFIER)


def test_a_certificate_carries_the_record_that_it_proves():
    """Beside the schema's contents, and read again as it was written."""
    provenance = Provenance("430000", "XY-1", 3, NOW, 10, "430000-xiangya", "430102", b"sealed")
    text = issue(
        HOLDER,
        result(),
        signer=SIGNER,
        key=pem(KEY),
        issued_at=NOW,
        valid_for=timedelta(days=1),
        provenance=provenance,
    )
    verified = verify(text, Trust([SIGNER]), NOW)
    assert (provenance, frozenset({"430000"})) == (verified.claims.provenance, verified.regions)
    assert verify(certificate(), Trust([SIGNER]), NOW).claims.provenance is None


def test_a_revoked_certificate_is_refused_by_its_identifier_or_its_hash():
    """Both forms of a line; what is neither is named by its number."""
    identifier = result().identifier
    for line in (identifier, identifier_hash(identifier).hex()):
        revoked = read_revocations(f"# revoked\n\n{line}\n")
        assert (1, True) == (len(revoked), revoked.hold(identifier))
        assert not revoked.hold(identifier + "x")
    with pytest.raises(ValueError, match="line 2"):
        read_revocations("# revoked\nnonsense\n")


def test_the_trust_folder_is_read_again(tmp_path):
    """A signer that comes is believed, a certificate that is revoked is not; what cannot be read leaves the last."""
    now = [0.0]
    path = tmp_path / "one.pem"
    path.write_bytes(SIGNER.certificate.public_bytes(serialization.Encoding.PEM))
    folder = TrustFolder(tmp_path, lambda: now[0])
    text = certificate()
    assert verify(text, folder.trusted.signers, NOW, folder.trusted.revoked)
    (tmp_path / "revoked.txt").write_text(result().identifier + "\n")
    assert 0 == len(folder.trusted.revoked)
    now[0] += LOOK_SECONDS
    assert folder.trusted.revoked.hold(result().identifier)
    (tmp_path / "revoked.txt").write_text("nonsense that is longer than it was\n")
    now[0] += LOOK_SECONDS
    assert folder.trusted.revoked.hold(result().identifier)
    path.unlink()
    (tmp_path / "revoked.txt").unlink()
    now[0] += LOOK_SECONDS
    assert 0 == len(folder.trusted.signers)
    with pytest.raises(CertificateRefused) as refused:
        verify(text, folder.trusted.signers, NOW)
    assert Reason.SIGNER_UNKNOWN is refused.value.reason


def test_a_folder_of_no_signers_is_a_mistake(tmp_path):
    """It is said at start, not with each certificate."""
    for kind in (TrustFolder, SignerFolder):
        with pytest.raises(ValueError, match="holds no signer"):
            kind(tmp_path)


def test_the_signer_in_force_that_began_last_signs(tmp_path):
    """The next one is put beside the present one; both sign for their own region alone."""
    start = datetime(2022, 8, 1, tzinfo=UTC)
    now = [0.0]
    write_signer(tmp_path, "430000", start)
    folder = SignerFolder(tmp_path, lambda: now[0])
    first = folder.of("430000", start)
    assert first is not None
    assert folder.of("440000", start) is None
    write_signer(tmp_path, "430000", start + timedelta(days=300), "430000-next")
    now[0] += 3 * LOOK_SECONDS
    assert first == folder.of("430000", start + timedelta(days=200))
    second = folder.of("430000", start + timedelta(days=301))
    assert second is not None
    assert first.signer.key_id != second.signer.key_id
    assert second == folder.of("430000", start + timedelta(days=400))
    assert folder.of("430000", start + timedelta(days=900)) is None


def test_signers_for_development_are_renewed_beside_the_old_ones(tmp_path):
    """In time, once, with keys that their owner alone reads."""
    start = datetime(2022, 8, 1, tzinfo=UTC)
    keep_signers(tmp_path, ["430000", "440000"], start)
    keep_signers(tmp_path, ["430000", "440000"], start + timedelta(days=1))
    assert ["430000", "440000"] == sorted(path.stem for path in tmp_path.glob("*.key"))
    keep_signers(tmp_path, ["430000"], start + timedelta(days=DAYS) - OVERLAP)
    assert 3 == len(list(tmp_path.glob("*.key")))
    assert {0o600} == {os.stat(path).st_mode & 0o777 for path in tmp_path.glob("*.key")}


def test_a_key_that_is_anothers_is_named(tmp_path):
    """And a signer that names no region."""
    _, key = write_signer(tmp_path, "430000", NOW)
    key.write_bytes(pem(ec.generate_private_key(ec.SECP256R1())))
    with pytest.raises(ValueError, match=r"430000\.key: it is not the key"):
        SignerFolder(tmp_path)


@pytest.mark.parametrize(
    ("written", "letters"),
    [("Lin", "LIN"), ("Lü", "LUE"), ("Ouyang-Li", "OUYANG<LI"), ("Zoë Ann", "ZOE<ANN"), ("李", "")],
)
def test_names_are_written_as_in_a_passport(written, letters):
    """In the letters that every reader has (ICAO 9303)."""
    assert letters == passport_letters(written)
