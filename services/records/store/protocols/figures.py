"""What is asked of a store where laboratories' figures are kept up to date beside the records (docs/decisions/0013)."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from services.common.instants import Instant
from services.records.domain.quality import Key, Sample
from services.records.domain.tally import SpanKey
from services.records.store.protocols.records import ChangeRow

Accused = tuple[bytes, int]
"""A person, and a calendar day of which they have, or once had, a positive result of their own."""

RecordKey = tuple[bytes, str, str]
"""A record with its person: person_key, region, source_id."""

Revisions = Sequence[tuple[int, bytes]]
"""A record's revisions, oldest first: the number of each in the feed, and the serialised TestRecord."""


class Standing(NamedTuple):
    """How far the feed is counted: up to `sequence`, by `rules` (0: not yet). `complete` once all there was had been
    counted; `as_of` is the instant of the last commit that is counted whole, `head` the end of the feed."""

    rules: int
    sequence: int
    complete: bool
    as_of: Instant
    head: int


@dataclass(frozen=True, slots=True)
class Counted:
    """What counting the feed from `since` up to `sequence` changed. An empty body stands for nothing left. `purged` is
    how many of these numbers were purged when they were read."""

    rules: int
    since: int
    sequence: int
    complete: bool
    purged: int = 0
    tallies: Mapping[Key, bytes] = field(default_factory=dict)
    spans: Mapping[SpanKey, bytes] = field(default_factory=dict)
    ended: Sequence[Sample] = ()
    waiting: Sequence[Sample] = ()
    accused: Sequence[Accused] = ()


class Counts(Protocol):
    """Reads of one snapshot. Every method raises Unavailable (STORE_UNAVAILABLE)."""

    async def standing(self) -> Standing:
        """How far the feed is counted."""

    async def changes(self, after: int, most: int) -> Sequence[ChangeRow]:
        """See RecordStore."""

    async def purged(self, after: int, up_to: int) -> int:
        """How many numbers above `after`, up to another, were purged."""

    async def record_keys(self, ids: Sequence[tuple[str, str]]) -> Sequence[RecordKey]:
        """The keys of the records of these regions and ids that are there."""

    async def revisions(self, records: Sequence[RecordKey], up_to: int) -> Mapping[RecordKey, Revisions]:
        """These records' revisions numbered up to `up_to`; one without any is left out."""

    async def people(self, person_keys: Sequence[bytes], up_to: int) -> Mapping[bytes, Sequence[Revisions]]:
        """The same of all of these people's records."""

    async def accused(self, asked: Sequence[Accused]) -> Sequence[Accused]:
        """Which of these are kept."""

    async def tallies(self, keys: Sequence[Key]) -> Mapping[Key, bytes]:
        """The tallies of these laboratories and days; what is not there is left out."""

    async def tallies_between(self, first: int, last: int) -> Mapping[Key, bytes]:
        """All laboratories' tallies of the calendar days from first to last."""

    async def spans(self, keys: Sequence[SpanKey]) -> Mapping[SpanKey, bytes]:
        """These spans' turnarounds; what is not there is left out."""

    async def waiting_by_laboratory(self, first: Instant, end: Instant) -> Mapping[str, int]:
        """How many samples taken at `first` or later and before `end` wait, by laboratory."""

    async def waiting(self, laboratory: str, first: Sample, end: Instant, most: int) -> Sequence[Sample]:
        """Samples that wait, of a laboratory or, where that is empty, of all: those above `first` (placed_at, region,
        source_id) that were taken before `end`, oldest first."""


class CountStore(Protocol):
    """Keeps counts. Every method raises Unavailable (STORE_UNAVAILABLE)."""

    def reading(self) -> AbstractAsyncContextManager[Counts]:
        """A snapshot to read."""

    def turn(self) -> AbstractAsyncContextManager[bool]:
        """Whether it is this process that counts now; as long as it lasts, no other does."""

    async def begin(self, rules: int) -> None:
        """Forgets all counts, and begins again with these rules."""

    async def count(self, counted: Counted) -> bool:
        """Keeps what was counted and moves on, in one transaction, beside which nothing is purged. Does nothing, and
        says so, unless the counts still stand where it began, and nothing of what it counted was purged since."""
