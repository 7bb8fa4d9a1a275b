"""Document numbers: one form, checked, and never repeated."""

import pytest
from hutong.common.v1.subject_pb2 import Document, DocumentType, Subject
from hypothesis import given
from hypothesis import strategies as st

from services.common.documents import PERSON_KEY_BYTES, PersonKeys, check_character, normalise
from services.common.errors import InvalidArgument

RESIDENT = DocumentType.DOCUMENT_TYPE_RESIDENT_ID
PASSPORT = DocumentType.DOCUMENT_TYPE_PASSPORT
HK_MACAO = DocumentType.DOCUMENT_TYPE_HK_MACAO_PERMIT
TAIWAN = DocumentType.DOCUMENT_TYPE_TAIWAN_PERMIT
FOREIGNER = DocumentType.DOCUMENT_TYPE_FOREIGN_PERMANENT_RESIDENT_ID

KEYS = PersonKeys(b"a secret of 16 bytes or more")


def with_check(first17: str) -> str:
    """A resident id with its check character, by the standard's own sum: sum of a(i) * 2^(i-1) is 1 modulo 11."""
    for check, value in zip("0123456789X", range(11), strict=True):
        if (sum(int(digit) * 2 ** (17 - at) for at, digit in enumerate(first17)) + value) % 11 == 1:
            return first17 + check
    raise AssertionError


@pytest.mark.parametrize("number", ["11010519491231002X", "440524188001010014"])
def test_the_standards_own_examples_are_valid(number):
    """GB 11643-1999 gives these two."""
    assert number == normalise(RESIDENT, number)


@given(st.text("0123456789", min_size=17, max_size=17))
def test_the_check_character_is_that_of_iso_7064(first17):
    """The table of weights says the same as the standard's definition, MOD 11-2."""
    assert with_check(first17) == first17 + check_character(first17)


@pytest.mark.parametrize(
    "written",
    [
        "11010519491231002x",
        " 110105 19491231 002X ",
        "１１０１０５１９４９１２３１００２Ｘ",
        "110105\u30001949123\u00a01002x",
        "110105194912310 02X\n",
    ],
)
def test_case_width_and_blanks_do_not_matter(written):
    """A number as people type it."""
    assert "11010519491231002X" == normalise(RESIDENT, written)


def test_a_legacy_number_is_its_new_form():
    """Fifteen digits lack the century and the check character; both forms are one person."""
    assert "11010519491231002X" == normalise(RESIDENT, "110105491231002")
    assert KEYS.of(Document(type=RESIDENT, number="110105491231002")) == KEYS.of(
        Document(type=RESIDENT, number="11010519491231002x")
    )


@pytest.mark.parametrize("prefix", ["810000", "820000", "830000"])
def test_residence_permits_are_resident_ids(prefix):
    """Permits of Hong Kong, Macao and Taiwan are valid, although one popular library refuses them."""
    number = with_check(f"{prefix}19900307123")
    assert number == normalise(RESIDENT, number)


@pytest.mark.parametrize(
    ("kind", "written", "expected"),
    [
        (PASSPORT, "e 12345678", "E12345678"),
        (HK_MACAO, "h1234567890", "H1234567890"),
        (HK_MACAO, "M12345678", "M12345678"),
        (TAIWAN, "12345678", "12345678"),
        (FOREIGNER, "chn110081010718", "CHN110081010718"),
        (FOREIGNER, "911124198108030024", "911124198108030024"),
    ],
)
def test_every_kind_of_document_has_its_form(kind, written, expected):
    """The forms of the contract."""
    assert expected == normalise(kind, written)


REFUSED = [
    (RESIDENT, "", "q.number", "DOCUMENT_NUMBER_REQUIRED"),
    (RESIDENT, " \u3000 ", "q.number", "DOCUMENT_NUMBER_REQUIRED"),
    (RESIDENT, "1101051949123100", "q.number", "DOCUMENT_NUMBER_FORMAT"),
    (RESIDENT, "11010519491231002Y", "q.number", "DOCUMENT_NUMBER_FORMAT"),
    (RESIDENT, "1101051949123100２²", "q.number", "DOCUMENT_NUMBER_FORMAT"),
    (RESIDENT, "110105194912310021", "q.number", "DOCUMENT_NUMBER_CHECK"),
    (RESIDENT, with_check("99010519491231002"), "q.number", "DOCUMENT_NUMBER_REGION"),
    (RESIDENT, with_check("11010519490230002"), "q.number", "DOCUMENT_NUMBER_BIRTH_DATE"),
    (RESIDENT, "110105490230002", "q.number", "DOCUMENT_NUMBER_BIRTH_DATE"),
    (RESIDENT, "110105٤٩1231002", "q.number", "DOCUMENT_NUMBER_FORMAT"),
    (PASSPORT, "E-12345678", "q.number", "DOCUMENT_NUMBER_FORMAT"),
    (PASSPORT, "E123", "q.number", "DOCUMENT_NUMBER_FORMAT"),
    (HK_MACAO, "T12345678", "q.number", "DOCUMENT_NUMBER_FORMAT"),
    (HK_MACAO, "H１２３４５６７٨", "q.number", "DOCUMENT_NUMBER_FORMAT"),
    (TAIWAN, "123456789", "q.number", "DOCUMENT_NUMBER_FORMAT"),
    (FOREIGNER, "CHN11008101071", "q.number", "DOCUMENT_NUMBER_FORMAT"),
    (DocumentType.DOCUMENT_TYPE_UNSPECIFIED, "E12345678", "q.type", "DOCUMENT_TYPE_REQUIRED"),
    (99, "E12345678", "q.type", "DOCUMENT_TYPE_UNKNOWN"),
]


@pytest.mark.parametrize(("kind", "number", "field", "reason"), REFUSED)
def test_a_bad_number_is_refused_with_its_field_and_reason_and_never_repeated(kind, number, field, reason):
    """The error is for logs and screens, so no run of its digits may be in it."""
    with pytest.raises(InvalidArgument) as error:
        normalise(kind, number, "q")
    assert [(field, reason)] == [(violation.field, violation.reason) for violation in error.value.violations]
    if number.strip():
        assert number not in str(error.value)
        assert error.value.__cause__ is None


@given(st.sampled_from([RESIDENT, PASSPORT, HK_MACAO, TAIWAN, FOREIGNER]), st.text(max_size=24))
def test_any_text_is_normalised_once_and_for_all_or_refused(kind, written):
    """No text makes anything but a stable form or an InvalidArgument."""
    try:
        number = normalise(kind, written)
    except InvalidArgument:
        return
    assert number == normalise(kind, number)


@given(st.integers(0, 16), st.integers(0, 9))
def test_one_mistyped_digit_is_always_noticed(at, digit):
    """What the check character is for."""
    right = "11010519491231002X"
    wrong = right[:at] + str(digit) + right[at + 1 :]
    if wrong != right:
        with pytest.raises(InvalidArgument):
            normalise(RESIDENT, wrong)


def test_a_person_key_depends_on_secret_type_and_number():
    """Sixteen bytes, the same for the same document, different for anything else."""
    document = Document(type=PASSPORT, number="E12345678")
    key = KEYS.of(document)
    others = {
        KEYS.of(Document(type=PASSPORT, number="E12345679")),
        KEYS.of(Document(type=TAIWAN, number="12345678")),
        PersonKeys(b"another secret, as long").of(document),
    }
    assert (PERSON_KEY_BYTES, key) == (len(key), KEYS.of(Document(type=PASSPORT, number="e12345678")))
    assert key not in others
    assert 3 == len(others)


def test_a_person_key_is_what_it_always_was():
    """Stores hold these: a change of the derivation would orphan every record."""
    import hashlib
    import hmac

    expected = hmac.new(
        b"a secret of 16 bytes or more", b"DOCUMENT_TYPE_RESIDENT_ID:11010519491231002X", hashlib.sha256
    ).digest()[:16]
    assert expected == KEYS.of(Document(type=RESIDENT, number="11010519491231002X"))


def test_a_subject_is_a_document_or_a_key():
    """Either names the same person; a key of another length names nobody."""
    document = Document(type=PASSPORT, number="E12345678")
    key = KEYS.of(document)
    assert key == KEYS.of_subject(Subject(document=document)) == KEYS.of_subject(Subject(person_key=key))
    for subject, field, reason in [
        (Subject(), "s", "SUBJECT_REQUIRED"),
        (Subject(person_key=b"short"), "s.person_key", "PERSON_KEY_LENGTH"),
        (Subject(document=Document(type=PASSPORT)), "s.document.number", "DOCUMENT_NUMBER_REQUIRED"),
    ]:
        with pytest.raises(InvalidArgument) as error:
            KEYS.of_subject(subject, "s")
        assert [(field, reason)] == [(violation.field, violation.reason) for violation in error.value.violations]


def test_a_short_secret_is_refused():
    """Under one, keys could be guessed."""
    with pytest.raises(ValueError, match="16 bytes"):
        PersonKeys(b"short")
