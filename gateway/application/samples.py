"""The sample people of the embedded mesh. They are invented; so are their documents."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from services.common.errors import Text


@dataclass(frozen=True, slots=True)
class SampleDocument:
    """A document: the name of its type, such as RESIDENT_ID, and its number."""

    type: str
    number: str


@dataclass(frozen=True, slots=True)
class SampleDependant:
    """Somebody whose code a sample person shows as their guardian."""

    name: Text
    document: SampleDocument


@dataclass(frozen=True, slots=True)
class SamplePerson:
    """One sample person: what they are called and show, the region to look at first, what that is there to show, and
    whose guardian they are."""

    name: Text
    document: SampleDocument
    region: str
    shows: Text
    dependants: tuple[SampleDependant, ...] = ()


def read_people(path: Path) -> Sequence[SamplePerson]:
    """The sample people in a JSON file, a list. Raises ValueError naming the file when it is not one, and OSError."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[SamplePerson])
    except msgspec.DecodeError as error:
        raise ValueError(f"{path}: {error}") from None
