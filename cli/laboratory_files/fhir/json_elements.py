"""One large JSON object, its largest list element by element: memory holds one element, not the document."""

import json
from collections.abc import Iterator
from typing import Any, TextIO

CHUNK = 1 << 16
MOST_ELEMENT = 1 << 22
"""Characters of one element; what is longer is refused."""

_decode = json.JSONDecoder().raw_decode
_BLANK = " \t\r\n"


class ElementError(ValueError):
    """The text is not JSON, is nested too deeply, or is not an object; `position` is where, in characters from 1."""

    def __init__(self, position: int) -> None:
        super().__init__(f"not JSON at {position}")
        self.position = position


class _Text:
    """A text read piece by piece, with a place in it."""

    def __init__(self, text: TextIO) -> None:
        self._text = text
        self._held = ""
        self._at = 0
        self._passed = 0

    def error(self) -> ElementError:
        return ElementError(self._passed + self._at + 1)

    def _more(self) -> bool:
        chunk = self._text.read(CHUNK)
        self._passed += self._at
        self._held, self._at = self._held[self._at :] + chunk, 0
        return bool(chunk)

    def peek(self) -> str:
        """The next character that is not blank; empty at the end."""
        while True:
            while self._at < len(self._held):
                if self._held[self._at] not in _BLANK:
                    return self._held[self._at]
                self._at += 1
            if not self._more():
                return ""

    def take(self, wanted: str) -> None:
        """Passes over a character that must be there."""
        if self.peek() != wanted:
            raise self.error()
        self._at += 1

    def value(self) -> Any:
        """The next value, whole."""
        self.peek()
        while True:
            try:
                value, end = _decode(self._held, self._at)
            except json.JSONDecodeError:
                value, end = None, len(self._held)
            except RecursionError:
                raise self.error() from None
            # A number that reaches the end of what is held may go on, and so may one cut before its exponent is whole.
            if end < len(self._held) and self._held[end] not in ".eE":
                self._at = end
                return value
            if len(self._held) - self._at > MOST_ELEMENT or not self._more():
                raise self.error()


def top_level(text: TextIO, key: str) -> Iterator[tuple[str, Any]]:
    """The members of the one object of a text, in order; the elements of the list under `key` one by one.

    Raises ElementError.
    """
    source = _Text(text)
    source.take("{")
    separator = ","
    while source.peek() != "}":
        if separator != ",":
            raise source.error()
        name = source.value()
        if not isinstance(name, str):
            raise source.error()
        source.take(":")
        if name == key and source.peek() == "[":
            source.take("[")
            while source.peek() != "]":
                yield name, source.value()
                if source.peek() != "]":
                    source.take(",")
            source.take("]")
        else:
            yield name, source.value()
        separator = source.peek()
        if separator == ",":
            source.take(",")
    source.take("}")
