"""Sources of resources: a Bundle, entry by entry, or lines with one resource each."""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple, TextIO

import msgspec

from cli.laboratory_files.fhir.json_elements import ElementError, top_level
from cli.laboratory_files.fhir.json_values import Json, object_of, text_of
from cli.laboratory_files.refusals import Refusal, UnreadableFileError, whole

BUNDLE = re.compile(rb'"resourceType"\s*:\s*"Bundle"|"entry"\s*:')
RESOURCE = re.compile(rb'"resourceType"\s*:')
LONGEST_RESOURCE = 1 << 22
"""Characters of a line with one resource."""
_decode = msgspec.json.Decoder().decode


class Entry(NamedTuple):
    """One resource. `number` counts entries or lines from 1; `url` is its fullUrl, empty where it has none."""

    number: int
    url: str
    resource: Json


class Source(ABC):
    """Resources, read from the first each time."""

    @abstractmethod
    def entries(self) -> Iterator[Entry | Refusal]:
        """Yields each; for a line that is none, why."""


class BundleSource(Source):
    """The entries of a Bundle. Raises UnreadableFileError: FHIR_JSON, FHIR_BUNDLE."""

    def __init__(self, text: TextIO) -> None:
        self._text = text

    def entries(self) -> Iterator[Entry | Refusal]:
        """Yields each entry."""
        self._text.seek(0)
        number = 0
        try:
            for key, value in top_level(self._text, "entry"):
                if key == "resourceType" and value != "Bundle":
                    raise UnreadableFileError("FHIR_BUNDLE", "不是 FHIR Bundle", "It is not a FHIR Bundle")
                if key == "entry":
                    number += 1
                    entry = object_of(value)
                    yield Entry(number, text_of(entry.get("fullUrl")), object_of(entry.get("resource")))
        except ElementError as error:
            raise UnreadableFileError(
                "FHIR_JSON", f"第 {error.position} 个字符起不是合法的 JSON", f"Not JSON from character {error.position}"
            ) from None


class LinesSource(Source):
    """One resource a line, as bulk exports have it. `lines` yields them from the first, each time it is called."""

    def __init__(self, lines: Callable[[], Iterable[str]]) -> None:
        self._lines = lines

    def entries(self) -> Iterator[Entry | Refusal]:
        """Yields each line's resource."""
        for number, line in enumerate(self._lines(), start=1):
            if line.strip():
                yield self._entry(number, line)

    def _entry(self, number: int, line: str) -> Entry | Refusal:
        if len(line) > LONGEST_RESOURCE:
            return whole(number, "ROW_TOO_LONG", "这一行太长", "The line is too long")
        try:
            value = _decode(line.removeprefix("\ufeff"))
        except RecursionError:
            return whole(number, "ROW_DEPTH", "这一行嵌套过深", "The line is nested too deeply")
        except msgspec.DecodeError:
            return whole(number, "ROW_JSON", "这一行不是 JSON", "The line is not JSON")
        if not isinstance(value, Mapping) or not text_of(value.get("resourceType")):
            return whole(number, "ROW_RESOURCE", "这一行不是 FHIR 资源", "The line is not a FHIR resource")
        return Entry(number, "", object_of(value))
