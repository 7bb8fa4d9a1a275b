"""The mesh's secret has versions, and whoever has two of them makes a key of one of a key of the other."""

import pytest
from hutong.common.v1.subject_pb2 import Document, DocumentType
from hypothesis import given
from hypothesis import strategies as st

from services.common.documents import PersonKeys
from services.common.errors import InvalidArgument
from services.common.mesh_secret import (
    SEALED_BYTES,
    MeshSecretError,
    Seal,
    mesh_secret_text,
    parse_mesh_secret,
)

ROOT = "the root of a secret, long enough"
FIRST, SECOND = "the first version, long enough", "the second version, long enough"
BOTH = f"root: {ROOT}\n1: {FIRST}\n2: {SECOND}\n"
NUMBER = "11010519491231002X"
RESIDENT = DocumentType.DOCUMENT_TYPE_RESIDENT_ID


def keys(text: str) -> PersonKeys:
    """Returns the maker of keys under a secret."""
    return PersonKeys(text.encode())


@given(st.binary(min_size=SEALED_BYTES, max_size=SEALED_BYTES), st.binary(min_size=16, max_size=40))
def test_what_is_sealed_can_be_opened(digest: bytes, secret: bytes):
    """By the same secret, to what it was."""
    seal = Seal(secret)
    assert digest == seal.open(seal.seal(digest))


def test_no_two_digests_have_one_key():
    """Neighbours, which differ in a bit, included; and a key shows nothing of its digest."""
    seal = Seal(FIRST.encode())
    digests = [number.to_bytes(SEALED_BYTES) for number in range(5_000)]
    sealed = {seal.seal(digest) for digest in digests}
    assert len(digests) == len(sealed)
    assert sealed.isdisjoint(digests)


def test_a_key_says_its_version():
    """In its first byte."""
    assert 1 == keys(BOTH + "current: 1").of_number(RESIDENT, NUMBER)[0]
    assert 2 == keys(BOTH + "current: 2").of_number(RESIDENT, NUMBER)[0]


def test_a_key_of_one_version_becomes_one_of_the_other_without_the_document():
    """In both directions; own keys stay."""
    first, second = keys(BOTH + "current: 1"), keys(BOTH + "current: 2")
    old, new = first.of_number(RESIDENT, NUMBER), second.of_number(RESIDENT, NUMBER)
    assert (new, old, old) == (second.own(old), first.own(new), first.own(old))


def test_a_person_is_found_under_every_version():
    """Own key first or not: a trail of years has lines of each."""
    first, second = keys(BOTH + "current: 1"), keys(BOTH + "current: 2")
    old, new = first.of_number(RESIDENT, NUMBER), second.of_number(RESIDENT, NUMBER)
    assert {old, new} == set(second.under_every_version(new)) == set(first.under_every_version(new))


def test_a_key_is_that_of_the_document_that_is_asked_for():
    """One after the other, the same again, another type, and another secret."""
    one, other = keys(BOTH + "current: 1"), keys(BOTH + "current: 2")
    resident, passport = Document(type=RESIDENT, number=NUMBER), Document(number="E12345678")
    passport.type = DocumentType.DOCUMENT_TYPE_PASSPORT
    for _ in range(2):
        assert one.of_number(RESIDENT, NUMBER) == one.of(resident)
        assert other.of_number(RESIDENT, NUMBER) == other.of(resident) != one.of(resident)
        assert one.of_number(passport.type, passport.number) == one.of(passport)
    for maker in (one, keys(BOTH + "current: 1")):
        with pytest.raises(InvalidArgument):
            maker.of(Document())
    passport.type = DocumentType.DOCUMENT_TYPE_TAIWAN_PERMIT
    with pytest.raises(InvalidArgument):
        one.of(passport)


def test_one_line_is_root_and_first_version():
    """So a mesh that has one secret adds a second to it."""
    alone = keys(ROOT).of_number(RESIDENT, NUMBER)
    changed = keys(f"root: {ROOT}\n1: {ROOT}\n2: {SECOND}\ncurrent: 2")
    assert changed.of_number(RESIDENT, NUMBER) == changed.own(alone)


def test_without_the_old_version_its_keys_are_nobodys():
    """And the old secret alone, root and version, makes no key of the new one."""
    old = keys(ROOT).of_number(RESIDENT, NUMBER)
    later = keys(f"root: {ROOT}\n2: {SECOND}\ncurrent: 2")
    with pytest.raises(InvalidArgument) as raised:
        later.own(old)
    assert ["PERSON_KEY_VERSION"] == [violation.reason for violation in raised.value.violations]
    assert later.of_number(RESIDENT, NUMBER)[1:] != old[1:]


def test_fingerprints_name_versions():
    """The same for one line and for the lines that stand for it; another for each version."""
    several = parse_mesh_secret(f"root: {ROOT}\n1: {ROOT}\n2: {SECOND}\ncurrent: 2")
    assert parse_mesh_secret(ROOT).fingerprint() == several.fingerprint(1) != several.fingerprint()
    assert {several.fingerprint(1), several.fingerprint(2)} == several.fingerprints


def test_what_is_written_is_read_again():
    """With every version."""
    secret = parse_mesh_secret(BOTH + "current: 1")
    assert secret == parse_mesh_secret(mesh_secret_text(secret))


WRONG = {
    "short": "short",
    "empty": "",
    "a placeholder": "REPLACE-ME with a secret of your own",
    "another placeholder": "<a secret of at least 16 bytes>",
    "a version that is a placeholder": BOTH + "3: change-me change-me change-me\ncurrent: 1",
    "one byte": "a" * 64,
    "zeros": "0" * 32,
    "a word again and again": "password" * 4,
    "digits in a row, again": "0123456789abcdef" * 4,
    "two bytes, and a half": "ab" * 20 + "a",
    "few bytes": "abcab" + "aabbc" * 2 + "cccab",
    "a version of one byte": BOTH + "3: aaaaaaaaaaaaaaaaaaaaaaaa\ncurrent: 1",
    "no root": f"1: {FIRST}\ncurrent: 1",
    "no current": BOTH,
    "a current that is not there": BOTH + "current: 3",
    "a version twice": BOTH + f"1: {FIRST}x\ncurrent: 1",
    "two versions that are the same": f"root: {ROOT}\n1: {FIRST}\n2: {FIRST}\ncurrent: 1",
    "version 0": BOTH + f"0: {FIRST}x\ncurrent: 1",
    "version 256": BOTH + f"256: {FIRST}x\ncurrent: 1",
    "something else": BOTH + "current: 1\nnext: 2",
}


@pytest.mark.parametrize("case", WRONG)
def test_what_will_not_do_is_refused_without_being_told(case: str):
    """A secret is never guessed, and no part of it is in the sentence."""
    with pytest.raises(MeshSecretError) as raised:
        parse_mesh_secret(WRONG[case])
    assert not any(secret in str(raised.value) for secret in (ROOT, FIRST, SECOND, "REPLACE-ME", "change-me"))
