"""Laboratories' figures as a store keeps them beside the records (docs/decisions/0013)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from services.common.instants import Instant
from services.records.domain.quality import Key, Sample
from services.records.domain.tally import SpanKey

PositiveDay = tuple[bytes, int]
"""A person, and a calendar day of which they have, or once had, a positive result of their own."""

RecordKey = tuple[bytes, str, str]
"""A record with its person: person_key, region, source_id."""

NumberedRevisions = Sequence[tuple[int, bytes]]
"""A record's revisions, oldest first: the number of each in the feed, and the serialised TestRecord."""


class CountProgress(NamedTuple):
    """The progress of counting: the feed is counted up to `sequence`, by `rules` (0: not yet).

    `complete` once all there was had been counted; `as_of` is the instant of the last commit that is counted whole,
    `head` the end of the feed.
    """

    rules: int
    sequence: int
    complete: bool
    as_of: Instant
    head: int


@dataclass(frozen=True, slots=True)
class CountedChanges:
    """The changes that counting the feed from `since` up to `sequence` made.

    An empty body stands for nothing left. `purged` is how many of these numbers were purged when they were read.
    """

    rules: int
    since: int
    sequence: int
    complete: bool
    purged: int = 0
    tallies: Mapping[Key, bytes] = field(default_factory=dict)
    spans: Mapping[SpanKey, bytes] = field(default_factory=dict)
    ended: Sequence[Sample] = ()
    waiting: Sequence[Sample] = ()
    positive_days: Sequence[PositiveDay] = ()
