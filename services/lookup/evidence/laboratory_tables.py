"""Keeps each source's table of laboratories by version, so that it travels once and not with every answer.

A person's evidence has the standing of every laboratory that appears in it as all sources of the question know it,
whoever else is asked about, and whichever store keeps the records.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hutong.records.v1.laboratory_pb2 import Laboratory
from hutong.records.v1.record_read_service_pb2 import BatchListRecordsResponse

from services.lookup.domain.merge import merge_laboratories

KEPT = 8
"""So many versions of a source's table are kept: standing changes seldom, the past is asked about at few instants."""
MERGED = 64
"""So many joined tables are kept."""


@dataclass(frozen=True, slots=True)
class LaboratoryTable:
    """All laboratories that one source knew at an instant. The messages are shared: nobody may change one."""

    source: str
    version: int
    laboratories: Sequence[Laboratory]


EMPTY = LaboratoryTable("", 0, ())


class LaboratoryTables:
    """The tables of all sources."""

    def __init__(self) -> None:
        self._tables: dict[str, OrderedDict[int, LaboratoryTable]] = {}
        self._merged: OrderedDict[tuple[tuple[str, int], ...], Mapping[str, Laboratory]] = OrderedDict()

    def known(self, source: str) -> Mapping[int, LaboratoryTable]:
        """Returns the tables kept of a source, by version; they are then said to be known in a question."""
        return dict(self._tables.get(source, {}))

    def take(
        self, source: str, response: BatchListRecordsResponse, known: Mapping[int, LaboratoryTable]
    ) -> LaboratoryTable:
        """Returns the table that an answer names, from the answer or from those that were said to be known."""
        version = response.laboratories_version
        if not version:
            return EMPTY
        kept = self._tables.setdefault(source, OrderedDict())
        table = kept.get(version) or known.get(version)
        if table is None:
            table = LaboratoryTable(source, version, tuple(response.laboratories))
        kept[version] = table
        kept.move_to_end(version)
        if len(kept) > KEPT:
            kept.popitem(last=False)
        return table

    def merge(self, tables: Sequence[LaboratoryTable]) -> Mapping[str, Laboratory]:
        """Returns each laboratory once, by id: see merge_laboratories."""
        names = tuple((table.source, table.version) for table in tables if table.version)
        merged = self._merged.get(names)
        if merged is None:
            merged = self._merged[names] = merge_laboratories(table.laboratories for table in tables)
            if len(self._merged) > MERGED:
                self._merged.popitem(last=False)
        return merged
