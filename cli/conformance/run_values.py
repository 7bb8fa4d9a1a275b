"""The values of one run of the cases: people, ids and instants of its own, so that it can run again at the same
target."""

import hashlib
import re
import uuid
from collections.abc import Mapping, Sequence

from cli.conformance.json_values import Json, at
from services.common.instants import HOUR, MINUTE, Instant, format_rfc3339

_PLACEHOLDER = re.compile(r"\$\{([^}]+)\}")
_NOW = re.compile(r"now(?:([+-])(\d+)([hm]))?")
_DIGITS = 14


class UnknownValueError(ValueError):
    """A case names a value that there is not."""


class RunValues:
    """The values that cases may name, as `${…}`: `region`, `site`, `laboratory`, `now` and `now-10h`, `id:NAME` (a
    source id), `uuid:NAME`, `person:NAME` (the number of a passport that nobody has), and what steps have saved."""

    def __init__(self, run_id: str, region: str, laboratory: str, now: Instant) -> None:
        self._run_id = run_id
        self._now = now
        self._known: dict[str, Json] = {"region": region, "laboratory": laboratory, "site": f"{region[:2]}0102"}
        self._numbers: set[str] = set()

    def save(self, name: str, value: Json) -> None:
        """Keeps what an answer had, under a name."""
        self._known[name] = value

    def fill(self, value: Json) -> Json:
        """Returns the value with each placeholder replaced; one that is the whole string keeps its type. Raises
        UnknownValueError."""
        if isinstance(value, Mapping):
            return {name: self.fill(part) for name, part in value.items()}
        if isinstance(value, str):
            whole = _PLACEHOLDER.fullmatch(value)
            return self._value(whole[1]) if whole else _PLACEHOLDER.sub(lambda name: str(self._value(name[1])), value)
        if isinstance(value, Sequence):
            return [self.fill(part) for part in value]
        return value

    def redact(self, text: str) -> str:
        """Returns the text without the numbers of this run's people."""
        for number in self._numbers:
            text = text.replace(number, "[document number]")
        return text

    def _value(self, name: str) -> Json:
        kind, _, key = name.partition(":")
        if kind == "id":
            return f"conform-{self._run_id}-{key}"
        if kind == "uuid":
            return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self._run_id}/{key}"))
        if kind == "person":
            number = "ZZ" + hashlib.sha256(f"{self._run_id}/{key}".encode()).hexdigest()[:_DIGITS].upper()
            self._numbers.add(number)
            return number
        if moment := _NOW.fullmatch(name):
            sign, count, unit = moment.groups()
            shift = int(count or 0) * (HOUR if unit == "h" else MINUTE)
            return format_rfc3339(Instant(self._now - shift if sign == "-" else self._now + shift))
        first, _, rest = name.partition(".")
        if first not in self._known:
            raise UnknownValueError(f"no such value: {name}")
        return at(self._known[first], rest)
