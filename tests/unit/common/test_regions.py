"""The divisions are the data's, not the code's."""

from services.common.regions import divisions

DELTA = {"310000", "320000", "330000", "340000"}


def test_all_34_divisions_are_there_in_order():
    """GB/T 2260 on the level of provinces, with a name in both languages each."""
    assert 34 == len(divisions())
    assert sorted(divisions()) == list(divisions())
    assert all(division.name.zh and division.name.en for division in divisions().values())


def test_the_regions_of_the_founding_text_are_as_it_says():
    """Their codes by name, the delta's bloc, and who may switch scope."""
    names = {code: divisions()[code].health_code for code in ("110000", "210000", "220000", "310000", "440000")}
    assert {
        "110000": "北京健康宝",
        "210000": "辽事通",
        "220000": "吉祥码",
        "310000": "随申码",
        "440000": "粤康码",
    } == names
    (bloc,) = {divisions()[code].bloc for code in DELTA}
    assert DELTA == {code for code, division in divisions().items() if bloc and division.bloc == bloc}
    assert {"210000", "220000"} == {code for code, division in divisions().items() if division.scope_switch}


def test_every_division_has_one_of_the_three_modes():
    """Share, convert or adopt."""
    assert {division.interop_mode for division in divisions().values()} <= {"SHARE", "CONVERT", "ADOPT"}
