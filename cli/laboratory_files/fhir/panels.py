"""Panels: the Observations that are about one sample of one person are one result."""

from collections.abc import Sequence
from typing import NamedTuple

from cli.laboratory_files.fhir import index
from cli.laboratory_files.fhir.context import Context
from cli.laboratory_files.fhir.json_values import Json, objects_of, text_of
from cli.laboratory_files.fhir.references import addresses, base_of, resolve
from cli.laboratory_files.fhir.sources import Entry, Source
from cli.laboratory_files.fhir.statements import State, Statement

Place = tuple[int, int]
"""Which source, and which of its entries."""
Key = tuple[str, ...]


class Member(NamedTuple):
    """One Observation of a panel."""

    place: Place
    statement: Statement


class Panels:
    """The Observations that are about one sample, found before the first row. `of` tells a panel by any of its
    members."""

    def __init__(self, context: Context, sources: Sequence[Source]) -> None:
        self._members: dict[Key, list[Member]] = {}
        self._keys: dict[Place, Key] = {}
        self._named: dict[str, Key] = {}
        self._conclusions: dict[Key, list[Statement]] = {}
        reports: list[tuple[list[str], Statement]] = []
        for number, source in enumerate(sources):
            for entry in source.entries():
                if isinstance(entry, Entry):
                    self._see(context, number, entry, reports)
        for pointed, conclusion in reports:
            keys = {self._named[name] for name in pointed if name in self._named}
            # Of a report over several samples, nobody knows which one its conclusion is about.
            if len(keys) == 1:
                self._conclusions.setdefault(keys.pop(), []).append(conclusion)

    def of(self, place: Place) -> tuple[Sequence[Member], Sequence[Statement]]:
        """Returns the members of the panel that this one is of, itself among them, and what was concluded from them;
        none where it is of no panel."""
        key = self._keys.get(place)
        return ((), ()) if key is None else (self._members[key], self._conclusions.get(key, ()))

    def holds_any(self, names: Sequence[str]) -> bool:
        """Tells whether one of these names is that of an Observation that is a row, or part of one."""
        return any(name in self._named for name in names)

    def _see(self, context: Context, source: int, entry: Entry, reports: list[tuple[list[str], Statement]]) -> None:
        resource, base = entry.resource, base_of(entry.url)
        kind = text_of(resource.get("resourceType"))
        if kind not in ("DiagnosticReport", "Observation") or not context.is_test(resource):
            return
        pointed = pointed_at(resource, base)
        if pointed:
            conclusion = context.statement(entry, conclusion=True)
            if conclusion.problem is None and conclusion.state in (State.FINAL, State.CORRECTED):
                reports.append((pointed, conclusion))
        if pointed or kind == "DiagnosticReport":
            return
        names = addresses(entry.url, "Observation", text_of(resource.get("id")))
        key = context.sample_key(entry, names)
        if key:
            if len(self._keys) >= index.MOST_KEPT:
                raise index.too_many()
            place = source, entry.number
            self._keys[place] = key
            self._members.setdefault(key, []).append(Member(place, context.statement(entry)))
            self._named |= dict.fromkeys(names, key)


def pointed_at(resource: Json, base: str) -> list[str]:
    """Returns the names of the Observations that a report, or a panel, points to."""
    field = "result" if resource.get("resourceType") == "DiagnosticReport" else "hasMember"
    names = (resolve(text_of(one.get("reference")), base) for one in objects_of(resource.get(field)))
    return [name for name in names if name]
