"""Reads the query of an address. What the page of the API does not allow is refused, as it is in a body."""

import re
from collections.abc import Sequence
from urllib.parse import parse_qsl

from gateway.http.requests import bodies
from services.common.errors import invalid

_WHOLE = re.compile(r"-?[0-9]{1,10}", re.ASCII)
"""A whole number as JSON writes it: int() takes other digits, blanks and underscores too."""


class Query:
    """The parameters of a request, by name."""

    def __init__(self, query: bytes, known: Sequence[str]) -> None:
        """Raises InvalidArgument (UNKNOWN_FIELD, DUPLICATE_FIELD)."""
        self._values: dict[str, str] = {}
        for name, value in parse_qsl(query.decode("ascii", "replace"), keep_blank_values=True):
            if name not in known:
                raise invalid("", "UNKNOWN_FIELD", "没有这个查询参数", "There is no such query parameter")
            if name in self._values:
                raise invalid(name, "DUPLICATE_FIELD", "查询参数重复", "The parameter is there more than once")
            self._values[name] = value

    def token(self, name: str) -> str:
        """Returns a parameter, empty where it is absent or empty."""
        return self._values.get(name, "")

    def text(self, name: str) -> str:
        """Returns a parameter, empty where it is absent. Raises InvalidArgument (WRONG_TYPE) where it is there and
        empty: whether all is meant, or nothing, cannot be told."""
        if self._values.get(name) == "":
            raise invalid(name, "WRONG_TYPE", "查询参数为空；不用则略去", "The parameter is empty: leave it out")
        return self.token(name)

    def number(self, name: str) -> int:
        """Returns a parameter that is a whole number, 0 where it is absent. Raises InvalidArgument (WRONG_TYPE,
        PAGE_SIZE)."""
        value = self._values.get(name, "0")
        if not _WHOLE.fullmatch(value):
            raise invalid(name, "WRONG_TYPE", "应为整数", "Expected an integer")
        return bodies.page_size(int(value))
