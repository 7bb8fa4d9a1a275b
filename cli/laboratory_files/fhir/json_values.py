"""Values of JSON whose type nobody promises."""

from collections.abc import Mapping, Sequence

Json = Mapping[str, object]


def object_of(value: object) -> Json:
    """Returns an object, empty for anything else."""
    return value if isinstance(value, dict) else {}


def list_of(value: object) -> Sequence[object]:
    """Returns a list, empty for anything else."""
    return value if isinstance(value, list) else []


def objects_of(value: object) -> list[Json]:
    """Returns the elements of a list as objects."""
    return [object_of(one) for one in list_of(value)]


def text_of(value: object) -> str:
    """Returns a text, empty for anything else."""
    return value if isinstance(value, str) else ""


def concept_text(value: object) -> str:
    """Returns a CodeableConcept's own words, or else those of its first coding that has any."""
    concept = object_of(value)
    displays = (text_of(coding.get("display")) for coding in objects_of(concept.get("coding")))
    return text_of(concept.get("text")) or next((display for display in displays if display), "")
