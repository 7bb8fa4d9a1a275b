"""Tells what was tested: a SARS-CoV-2 nucleic-acid test, a panel of them, or something else."""

from enum import Enum
from typing import NamedTuple

from cli.laboratory_files.codes import SYSTEMS, TESTS
from cli.laboratory_files.fhir.json_values import object_of, objects_of, text_of
from cli.laboratory_files.words import is_test

LOINC = "http://loinc.org"


class Kind(Enum):
    """The kinds of things that codes are of."""

    TEST = "test"
    PANEL = "panel"
    OTHER = "other"
    UNSAID = "unsaid"
    CONTRADICTORY = "contradictory"


class Tested(NamedTuple):
    """The thing that a code says was tested; `name` is for people who read how often it was passed over."""

    kind: Kind
    name: str


def tested(code: object) -> Tested:
    """Returns what a CodeableConcept is of. Its codings mean the same thing, so LOINC codes of which one is a
    nucleic-acid test and another is not contradict each other. Without a LOINC code its words count."""
    concept = object_of(code)
    codings = objects_of(concept.get("coding"))
    systems = [text_of(coding.get("system")) for coding in codings]
    loinc = [
        text_of(coding.get("code"))
        for coding, system in zip(codings, systems, strict=True)
        if SYSTEMS.get(system, system) == LOINC
    ]
    words = [text_of(concept.get("text")), *(text_of(coding.get("display")) for coding in codings)]
    codes = [text_of(coding.get("code")) for coding in codings]
    word = next((word for word in words if word), "")
    name = " ".join(dict.fromkeys(part for part in (next(iter(loinc + codes), ""), word) if part))[:100]
    kinds = {TESTS.get(one, "other") for one in loinc}
    if len(kinds) > 1 and "other" in kinds:
        return Tested(Kind.CONTRADICTORY, name)
    if kinds:
        return Tested(Kind.PANEL if kinds == {"panel"} else Kind("test" if "test" in kinds else "other"), name)
    if any(is_test(word) for word in words if word):
        return Tested(Kind.TEST, name)
    return Tested(Kind.OTHER if name else Kind.UNSAID, name)
