"""Laboratories' figures, which a store keeps up to date beside the records (docs/decisions/0013)."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from services.common.instants import Instant
from services.records.domain.quality import Key, Sample
from services.records.domain.tally import SpanKey
from services.records.store.values.feed import ChangeRow
from services.records.store.values.figures import (
    CountedChanges,
    CountProgress,
    NumberedRevisions,
    PositiveDay,
    RecordKey,
)
from services.records.store.values.records import RevisionBodies


class FigureReads(Protocol):
    """Reads of one snapshot."""

    async def progress(self) -> CountProgress:
        """Returns how far the feed is counted."""

    async def changes(self, after: int, most: int) -> Sequence[ChangeRow]:
        """Returns changes as FeedLog does."""

    async def purged(self, after: int, up_to: int) -> int:
        """Returns how many numbers above `after`, up to another, were purged."""

    async def record_keys(self, ids: Sequence[tuple[str, str]]) -> Sequence[RecordKey]:
        """Returns the keys of the records of these regions and ids that are there."""

    async def revisions(self, records: Sequence[RecordKey], up_to: int) -> Mapping[RecordKey, NumberedRevisions]:
        """Returns these records' revisions numbered up to `up_to`; one without any is left out."""

    async def people(self, person_keys: Sequence[bytes], up_to: int) -> Mapping[bytes, Sequence[NumberedRevisions]]:
        """Returns the same of all of these people's records."""

    async def positive_days(self, asked: Sequence[PositiveDay]) -> Sequence[PositiveDay]:
        """Returns which of these are kept."""

    async def tallies(self, keys: Sequence[Key]) -> Mapping[Key, bytes]:
        """Returns the tallies of these laboratories and days; what is not there is left out."""

    async def tallies_between(self, first: int, last: int) -> Mapping[Key, bytes]:
        """Returns all laboratories' tallies of the calendar days from first to last."""

    async def spans(self, keys: Sequence[SpanKey]) -> Mapping[SpanKey, bytes]:
        """Returns these spans' turnarounds; what is not there is left out."""

    async def waiting_by_laboratory(self, first: Instant, end: Instant) -> Mapping[str, int]:
        """Returns how many samples taken at `first` or later and before `end` wait, by laboratory."""

    async def waiting(self, laboratory: str, first: Sample, end: Instant, most: int) -> Sequence[Sample]:
        """Returns samples that wait, of a laboratory or, where that is empty, of all: those above `first` (placed_at,
        region, source_id) that were taken before `end`, oldest first."""


class FigureStore(Protocol):
    """Keeps figures."""

    def reading(self) -> AbstractAsyncContextManager[FigureReads]:
        """Opens a snapshot to read."""

    def turn(self) -> AbstractAsyncContextManager[bool]:
        """Tells whether it is this process that counts now; as long as it lasts, no other does."""

    async def begin(self, rules: int) -> None:
        """Forgets all figures, and begins again with these rules."""

    async def count(self, counted: CountedChanges) -> bool:
        """Keeps what was counted and moves on, in one transaction, beside which nothing is purged. Does nothing, and
        returns False, unless the figures still stand where it began, and nothing of what it counted was purged since.
        """


class RecordsByTime(Protocol):
    """Reads whole stretches of time, of everybody."""

    def by_time(self, first: Instant, end: Instant, known_at: Instant) -> AsyncGenerator[Sequence[RevisionBodies]]:
        """Yields the records that, as known at an instant, were sampled (or, where that is unknown, reported) at
        `first` or later and before `end`, in batches and in no order.

        Reading them may take long; between batches others have their turn, and nothing in it keeps a writer waiting.
        """
