"""Laboratories' figures over keys of several versions."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace

from services.records.store.moved_keys import own_body
from services.records.store.protocols.figures import FigureReads, FigureStore
from services.records.store.values.feed import ChangeRow
from services.records.store.values.figures import (
    CountedChanges,
    NumberedRevisions,
    PositiveDay,
    RecordKey,
)
from services.runtime.storage.key_moves import KeyState, KeyVersions


class KeyedFigures:
    """A FigureStore that gives and takes this process's own keys."""

    def __init__(self, figures: FigureStore, versions: KeyVersions) -> None:
        self._figures = figures
        self._versions = versions

    @asynccontextmanager
    async def reading(self) -> AsyncGenerator[FigureReads]:
        """See FigureStore."""
        state = await self._versions.known()
        async with self._figures.reading() as reads:
            yield reads if self._versions.plain(state) else _KeyedReads(reads, self._versions, state)

    def turn(self) -> AbstractAsyncContextManager[bool]:
        """See FigureStore."""
        return self._figures.turn()

    async def begin(self, rules: int) -> None:
        """See FigureStore."""
        await self._figures.begin(rules)

    async def count(self, counted: CountedChanges) -> bool:
        """See FigureStore."""
        if not self._versions.plain(await self._versions.known()):
            positive_days = sorted((self._versions.write(key), day) for key, day in counted.positive_days)
            counted = replace(counted, positive_days=positive_days)
        return await self._figures.count(counted)


class _KeyedReads:
    """FigureReads of one snapshot: in it, each person is under one of the versions that are asked for."""

    def __init__(self, reads: FigureReads, versions: KeyVersions, state: KeyState) -> None:
        self._reads = reads
        self._versions = versions
        self._state = state
        self.progress = reads.progress
        self.purged = reads.purged
        self.tallies = reads.tallies
        self.tallies_between = reads.tallies_between
        self.spans = reads.spans
        self.waiting_by_laboratory = reads.waiting_by_laboratory
        self.waiting = reads.waiting

    def _revisions(self, revisions: NumberedRevisions) -> NumberedRevisions:
        return [(sequence, own_body(self._versions.keys, body)) for sequence, body in revisions]

    async def changes(self, after: int, most: int) -> Sequence[ChangeRow]:
        """See FigureReads."""
        return own_changes(await self._reads.changes(after, most), self._versions)

    async def record_keys(self, ids: Sequence[tuple[str, str]]) -> Sequence[RecordKey]:
        """See FigureReads."""
        own = self._versions.keys.own
        return [(own(key), region, source_id) for key, region, source_id in await self._reads.record_keys(ids)]

    async def revisions(self, records: Sequence[RecordKey], up_to: int) -> Mapping[RecordKey, NumberedRevisions]:
        """See FigureReads."""
        meant = {
            (key, *record[1:]): record for record in records for key in self._versions.asked(self._state, record[0])
        }
        stored = await self._reads.revisions(list(meant), up_to)
        return {meant[record]: self._revisions(revisions) for record, revisions in stored.items()}

    async def people(self, person_keys: Sequence[bytes], up_to: int) -> Mapping[bytes, Sequence[NumberedRevisions]]:
        """See FigureReads."""
        meant = {key: person for person in person_keys for key in self._versions.asked(self._state, person)}
        people: dict[bytes, list[NumberedRevisions]] = {}
        for key, records in (await self._reads.people(list(meant), up_to)).items():
            if records:
                people.setdefault(meant[key], []).extend(self._revisions(revisions) for revisions in records)
        return people

    async def positive_days(self, asked: Sequence[PositiveDay]) -> Sequence[PositiveDay]:
        """See FigureReads."""
        meant = {
            (key, day): (person, day) for person, day in asked for key in self._versions.asked(self._state, person)
        }
        return list(dict.fromkeys(meant[key] for key in await self._reads.positive_days(list(meant))))


def own_changes(rows: Sequence[ChangeRow], versions: KeyVersions) -> Sequence[ChangeRow]:
    """Returns changes with this process's own keys."""
    return [
        row if row.is_laboratory or row.purged_from else row._replace(body=own_body(versions.keys, row.body))
        for row in rows
    ]
