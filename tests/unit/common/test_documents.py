"""Document numbers: one form, checked, and never repeated."""

import pytest
from hutong.common.v1.subject_pb2 import Document, DocumentType, Subject
from hypothesis import given
from hypothesis import strategies as st

from services.common.documents import (
    PERSON_KEY_BYTES,
    PersonKeys,
    holds_number,
    holds_number_of,
    may_hide_number,
    normalise,
)
from services.common.errors import InvalidArgument
from services.common.id_numbers import check_character

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
    assert (RESIDENT, number) == normalise(RESIDENT, number)


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
    assert (RESIDENT, "11010519491231002X") == normalise(RESIDENT, written)


def test_a_legacy_number_is_its_new_form():
    """Fifteen digits lack the century and the check character; both forms are one person."""
    assert (RESIDENT, "11010519491231002X") == normalise(RESIDENT, "110105491231002")
    assert KEYS.of(Document(type=RESIDENT, number="110105491231002")) == KEYS.of(
        Document(type=RESIDENT, number="11010519491231002x")
    )


@pytest.mark.parametrize("prefix", ["810000", "820000", "830000"])
def test_residence_permits_are_resident_ids(prefix):
    """Permits of Hong Kong, Macao and Taiwan are valid, although one popular library refuses them."""
    number = with_check(f"{prefix}19900307123")
    assert (RESIDENT, number) == normalise(RESIDENT, number)


@pytest.mark.parametrize(
    ("kind", "written", "expected"),
    [
        (PASSPORT, "e 12345678", "E12345678"),
        (HK_MACAO, "h1234567890", "H12345678"),
        (HK_MACAO, "M12345678", "M12345678"),
        (TAIWAN, "12345678", "12345678"),
        (FOREIGNER, "chn110081010718", "CHN110081010718"),
        (FOREIGNER, "911124198108030024", "911124198108030024"),
    ],
)
def test_every_kind_of_document_has_its_form(kind, written, expected):
    """The forms of the contract."""
    assert (kind, expected) == normalise(kind, written)


@pytest.mark.parametrize(
    "ways",
    [
        # A permanent resident's number of 2023, of either place of issue, under the type people take it for.
        [(FOREIGNER, "911124190505050129"), (RESIDENT, "911124190505050129"), (PASSPORT, " 911124 19050505 0129")],
        [(FOREIGNER, "931392190606060132"), (RESIDENT, "９３１３９２190606060132")],
        # The form before 2023.
        [(FOREIGNER, "CAN110105050512"), (RESIDENT, "can 110105050512"), (PASSPORT, "CAN110105050512")],
        # A permit with and without its renewals, and with the mark that people write behind it.
        [(HK_MACAO, "H07654321"), (HK_MACAO, "H0765432101"), (HK_MACAO, "h07654321（B）")],
        [(TAIWAN, "01876543"), (TAIWAN, "0187654301"), (TAIWAN, "01876543(B)"), (TAIWAN, "０１８７６５４３（Ｂ）")],
        # A residence permit taken for a travel permit, and a resident id taken for a passport.
        [(RESIDENT, "830000190909096011"), (TAIWAN, "830000190909096011"), (FOREIGNER, "830000190909096011")],
        [(RESIDENT, "11010519491231002X"), (PASSPORT, "11010519491231002x"), (PASSPORT, "110105491231002")],
    ],
)
def test_one_holder_has_one_key(ways):
    """However the document was typed, and whichever type was chosen."""
    assert 1 == len({KEYS.of_number(kind, number) for kind, number in ways})


def test_other_holders_have_other_keys():
    """What a passport's number may well be stays a passport's: Korea's are M and eight digits."""
    documents = [
        (PASSPORT, "M12345678"),
        (HK_MACAO, "M12345678"),
        (TAIWAN, "12345678"),
        (PASSPORT, "12345678"),
        (HK_MACAO, "H12345678"),
        (PASSPORT, "CAN110105050513"),
        (PASSPORT, "110105491331002"),
    ]
    assert len(documents) == len({KEYS.of_number(kind, number) for kind, number in documents})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("11010519491231002X", True),
        ("s-11010519491231002x-1", True),
        ("误登 911124190505050129 名下", True),
        ("１１０１０５１９４９１２３１００２Ｘ", True),
        ("110105194912310021", False),
        ("2022080513201234561", False),
        ("111010519491231002X", False),
        ("S-2022-08-05-0001", False),
        ("bed 7 11010519491231002X 3", True),
        ("7　１１０１０５１９４９１２３１００２Ｘ", True),
        ("110105 19491231 002X", True),
    ],
)
def test_a_document_number_is_found_within_a_text(text, expected):
    """Only one that passes every check; a longer run of digits is something else."""
    assert expected == holds_number(text)


@pytest.mark.parametrize(
    "text",
    [
        "00000000000000430102190511116063",
        "9430102190511116063f",
        "lab-110105194912-31002x",
        "a/110105.1949.1231.002X",
        "٤٣٠١٠٢١٩٠٥١١١١٦٠٦٣",
        "\u200b".join("430102190511116063"),
        "𝟒𝟑𝟎𝟏𝟎𝟐𝟏𝟗𝟎𝟓𝟏𝟏𝟏𝟏𝟔𝟎𝟔𝟑",
    ],
    ids=["zeros", "digits", "hyphen", "points", "Arabic", "invisible", "mathematical"],
)
def test_a_number_that_hides_in_a_name_is_found(text):
    """However it is written, as long as somebody can read it."""
    assert may_hide_number(text)


@pytest.mark.parametrize(
    "text", ["", "spiffe://hutong/region/430000/lookup", "01eeaed801cadb6f7537ed04694bc444", "9" * 40, "a" * 64]
)
def test_other_names_hide_none(text):
    """Regions, keys and traces are no numbers."""
    assert not may_hide_number(text)


@pytest.mark.parametrize(
    ("document", "text", "expected"),
    [
        ((PASSPORT, "e 1234 5678"), "S-E12345678", True),
        ((HK_MACAO, "H0765432101"), "h07654321", True),
        ((TAIWAN, "01876543(B)"), "T01876543-1", True),
        ((PASSPORT, "E1234"), "e1234", True),
        ((PASSPORT, "E1234"), "LAB-E1234-7", False),
        ((RESIDENT, "not a number"), "notanumber", True),
        ((PASSPORT, ""), "", False),
    ],
)
def test_a_subjects_own_number_is_found_within_a_text(document, text, expected):
    """As it was typed or in its one form; a number so short that it may be there by chance counts only by itself."""
    assert expected == holds_number_of(Document(type=document[0], number=document[1]), text)


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
    (HK_MACAO, "C07654321", "q.number", "DOCUMENT_NUMBER_FORMAT"),
    (HK_MACAO, "H076543210", "q.number", "DOCUMENT_NUMBER_FORMAT"),
    (TAIWAN, "01876543(C)", "q.number", "DOCUMENT_NUMBER_FORMAT"),
    (TAIWAN, with_check("83000019900230001"), "q.number", "DOCUMENT_NUMBER_BIRTH_DATE"),
    (FOREIGNER, "CHN11008101071", "q.number", "DOCUMENT_NUMBER_FORMAT"),
    (FOREIGNER, "CHN110081010717", "q.number", "DOCUMENT_NUMBER_CHECK"),
    (FOREIGNER, "CAN110105130512", "q.number", "DOCUMENT_NUMBER_BIRTH_DATE"),
    (FOREIGNER, "CAN990105050512", "q.number", "DOCUMENT_NUMBER_REGION"),
    (FOREIGNER, "911124190505050120", "q.number", "DOCUMENT_NUMBER_CHECK"),
    (FOREIGNER, "911124190513990129", "q.number", "DOCUMENT_NUMBER_BIRTH_DATE"),
    (FOREIGNER, with_check("99112419050505012"), "q.number", "DOCUMENT_NUMBER_REGION"),
    (RESIDENT, "911124190505050120", "q.number", "DOCUMENT_NUMBER_CHECK"),
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
        document = normalise(kind, written)
    except InvalidArgument:
        return
    assert document == normalise(*document)


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
    key = KEYS.of(Document(type=RESIDENT, number="11010519491231002X"))
    assert "01c601e316fd9b88f67d6b49b3088ddf" == key.hex()


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
