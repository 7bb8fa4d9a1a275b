"""JSON values, and how what was expected differs from what came."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    Json: TypeAlias = bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"] | None
else:
    # msgspec reads no type that names itself.
    Json = Any

ANYTHING = "*"
"""Expected where something must be there, whatever it is."""

_LONGEST = 200
_NOTHING: tuple[Json, ...] = (None, "", 0, False, [], {})


def at(value: Json, path: str) -> Json:
    """Returns what lies at a dotted path such as `rows.0.outcome`, None where nothing does."""
    for step in path.split(".") if path else ():
        if isinstance(value, Mapping):
            value = value.get(step)
        elif isinstance(value, Sequence) and not isinstance(value, str) and step.isdigit() and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value


def _shown(value: Json) -> str:
    # Never the whole of an answer: a report goes from hand to hand.
    if isinstance(value, Mapping):
        return f"an object of {len(value)} fields"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"{len(value)} items"
    return repr(value)[:_LONGEST]


def differences(expected: Json, actual: Json, path: str = "") -> Iterator[str]:
    """Yields a sentence for each difference. Of an object only the expected fields are looked at; a list is compared
    whole; null expects that the field is absent or empty, "*" that it is not."""
    if isinstance(expected, Mapping):
        if not isinstance(actual, Mapping):
            yield f"{path or 'answer'}: expected an object, got {_shown(actual)}"
            return
        for name, wanted in expected.items():
            yield from differences(wanted, actual.get(name), f"{path}.{name}" if path else name)
    elif isinstance(expected, Sequence) and not isinstance(expected, str):
        if not isinstance(actual, Sequence) or isinstance(actual, str) or len(actual) != len(expected):
            yield f"{path}: expected {len(expected)} items, got {_shown(actual)}"
            return
        for place, (wanted, given) in enumerate(zip(expected, actual, strict=True)):
            yield from differences(wanted, given, f"{path}.{place}")
    elif expected is None:
        if actual not in _NOTHING:
            yield f"{path}: expected nothing, got {_shown(actual)}"
    elif expected == ANYTHING:
        if actual in _NOTHING:
            yield f"{path}: expected something, got {_shown(actual)}"
    elif expected != actual or isinstance(expected, bool) is not isinstance(actual, bool):
        yield f"{path}: expected {expected!r}, got {_shown(actual)}"
