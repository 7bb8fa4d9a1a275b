"""Names of tokens are taken as a passport and a guard need them, or the claim that lacks is named."""

import unicodedata
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.certificates.names import passport_letters
from gateway.identity.person_names import names_of
from gateway.passes.passes import masked
from services.common.person_names import PersonName

CHINESE = {"name": "欧阳娜娜", "family_name": "Ouyang", "given_name": "Nana", "birthdate": "2000-06-15"}


def name_of(**claims: Any) -> PersonName:
    """Returns the name of the holder of these claims."""
    (name,) = names_of({"role": "holder", **claims})
    return name


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        (CHINESE, PersonName("欧阳娜娜", "Ouyang", "Nana", date(2000, 6, 15))),
        (
            {"family_name": "林", "given_name": "晓岚", "family_name#zh-Latn": "LIN", "given_name#zh-Latn": "Xiaolan"},
            PersonName("林晓岚", "LIN", "Xiaolan"),
        ),
        (
            {"family_name": "Łukasz-Öst", "given_name": "Anne Marie"},
            PersonName("Anne Marie Łukasz-Öst", "Łukasz-Öst", "Anne Marie"),
        ),
        ({"given_name": "Sukarno"}, PersonName("Sukarno", "Sukarno")),
        ({"name": "  林\u3000晓岚 ", "family_name": "Lin"}, PersonName("林 晓岚", "Lin")),
        ({"name": "Bjo\u0308rn", "family_name": "A"}, PersonName("Björn", "A")),
    ],
)
def test_a_name_is_what_the_claims_state(claims: dict[str, Any], expected: PersonName) -> None:
    """Composed, with single spaces, the parts joined where there is no whole."""
    assert tuple(expected) == tuple(name_of(**claims))


@pytest.mark.parametrize(
    ("claims", "lacking"),
    [
        ({}, "family_name"),
        ({"name": "林晓岚"}, "family_name"),
        ({"family_name": "林", "given_name": "晓岚"}, "family_name#zh-Latn"),
        ({"family_name": "Lin", "given_name": "晓岚"}, "given_name#zh-Latn"),
        ({"family_name": "Иванов"}, "family_name#zh-Latn"),
        ({"family_name": "Ivan\u043ev"}, "family_name#zh-Latn"),
        ({"family_name": "Lin\u202e", "given_name": "Xiaolan"}, "family_name"),
        ({"family_name": "Lin", "given_name": "Xiao\u202elan"}, "given_name"),
        ({"family_name": "Lin\nBcc: x"}, "family_name"),
        ({"family_name": "L" * 81}, "family_name"),
        ({"family_name": "430102190511116063"}, "family_name"),
        ({"family_name": "Lin 430102190511116063"}, "family_name"),
        ({"family_name": ["Lin"]}, "family_name"),
        ({"family_name": "\ud800"}, "family_name"),
        ({"family_name": "---"}, "family_name"),
        ({"family_name": "LIN<<X"}, "family_name"),
    ],
)
def test_a_claim_that_lacks_is_named(claims: dict[str, Any], lacking: str) -> None:
    """Missing, or not as a name is: no certificate is made of a part of it."""
    assert lacking == name_of(**claims).lacking


@pytest.mark.parametrize(
    "born", ["1990", "0000-06-15", "2000-13-01", "2000-02-30", "20000615", 20000615, "1066-10-14", None]
)
def test_a_date_of_birth_is_whole_or_none(born: object) -> None:
    """A year alone, or a day without its year, tells none."""
    assert name_of(birthdate=born).born is None


def test_dependants_have_names_of_their_own() -> None:
    """In the order of the token, of guardians alone; an entry without a name is one that lacks."""
    entries = [{"name": "张小明", "family_name": "Zhang", "given_name": "Xiaoming"}, {}]
    names = names_of({"role": "guardian", **CHINESE, "dependants": entries})
    assert ["欧阳娜娜", "张小明", ""] == [one.written for one in names]
    assert ["", "", "family_name"] == [one.lacking for one in names]
    assert 1 == len(names_of({"role": "holder", **CHINESE, "dependants": entries}))


@given(
    st.dictionaries(st.sampled_from(["name", "family_name", "given_name", "family_name#zh-Latn"]), st.text(max_size=90))
)
def test_whatever_is_stated_a_name_is_shown_as_it_reads(claims: dict[str, str]) -> None:
    """Nothing that a reader does not see, nothing that a passport does not write; no representation has a name."""
    name = name_of(**claims)
    for text in (name.written, name.surname, name.given_name):
        assert text.isprintable()
        assert unicodedata.is_normalized("NFC", text)
        assert len(text) <= 161
    assert name.lacking or passport_letters(name.surname).strip("<")
    assert "PersonName(...)" == f"{name!r}" == f"{name}"


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        ("张三", "张*"),
        ("欧阳娜娜", "欧阳*"),
        ("欧阳", "欧*"),
        ("諸葛亮", "諸葛*"),
        ("买买提·艾力", "买* 艾*"),
        ("\U00020bb7野家", "\U00020bb7*"),
        ("Li Wei", "L* W*"),
        ("", ""),
    ],
)
def test_a_name_is_masked(name: str, seen: str) -> None:
    """The first letter of each word stays, and a surname of two characters."""
    assert seen == masked(name)


@pytest.mark.parametrize(
    ("name", "letters"),
    [
        ("Lü", "LUE"),
        ("Lu\u0308", "LUE"),
        ("Søren", "SOEREN"),
        ("Łódź", "LODZ"),
        ("Straße", "STRASSE"),
        ("D’Arc", "DARC"),
    ],
)
def test_letters_are_those_of_a_passport(name: str, letters: str) -> None:
    """ICAO 9303, part 3, section 6."""
    assert letters == passport_letters(name)
