"""The selection of a person's records: those that can matter to whoever judges, and those that an answer leaves out.

A judge needs what is recent, the newest few of what is not, what counts against the person with what clears it, and all
records of a test of which one is given. Everything else is left out, and the answer says from when on nothing is: a
judge whose verdict could rest on what is missing asks again for everything.

The choice has two steps, so that a store that keeps indexes reads little: the first looks at what is recent and what is
always given, the second fetches what those ask for.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from services.common.instants import Instant
from services.records.domain.revisions import RecordId, always_given
from services.records.domain.weight import AGAINST, Weight

ANY_REGION = ""
"""In what was left out: of whatever region."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The records of a person that are wanted: see hutong.records.v1.RecordSelection."""

    since: Instant
    newest: int
    clearing: int
    own_regions: Sequence[str] = ()


class Candidate(Protocol):
    """The last revision of one record; instants are in microseconds since 1970, UTC."""

    @property
    def region(self) -> str:
        """The region that keeps it."""

    @property
    def source_id(self) -> str:
        """Its id there."""

    @property
    def placed_at(self) -> int:
        """Its instant of sampling or, where that is unknown, of its report."""

    @property
    def latest_at(self) -> int:
        """The later of both."""

    @property
    def weight(self) -> int:
        """Its Weight."""


C = TypeVar("C", bound=Candidate)
C_co = TypeVar("C_co", bound=Candidate, covariant=True)


@dataclass(frozen=True, slots=True)
class Wanted:
    """The question of the first step to the second: of each of `clearing`, the first negatives of single tubes placed
    after it; of each of `own`, the newest records; and `originals`."""

    clearing: Sequence[int] = ()
    own: Sequence[str] = ()
    originals: Sequence[RecordId] = ()


class Chosen(Generic[C]):
    """The choice among one person's records.

    `recent` are all that are not older than the selection's instant; `older` the newest of the others, one more than
    the selection wants, newest first; `always` what is given however old it is. `origin_of` tells the original that a
    record names.
    """

    def __init__(
        self,
        selection: Selection,
        recent: Sequence[C],
        older: Sequence[C],
        always: Sequence[C],
        origin_of: Callable[[C], RecordId | None],
    ) -> None:
        self._selection = selection
        self._given: dict[tuple[str, str], C] = {}
        self.left_out: dict[str, Instant] = {}
        """By region, or for any: nothing that was sampled or reported at this instant or later was left out."""
        self.add(recent)
        self.add(older[: selection.newest])
        self.add(always)
        # Also where nothing of this document is left out: an original may be another's of the same person.
        originals = {origin for one in always if (origin := origin_of(one)) is not None and origin not in self._given}
        self.wanted = Wanted(originals=sorted(originals))
        if len(older) > selection.newest:
            before = older[selection.newest].latest_at + 1
            self.left_out[ANY_REGION] = Instant(before)
            regions = {one.region for one in (*recent, *older)}
            self.wanted = self._wanted(before, regions, always, self.wanted.originals)

    @property
    def given(self) -> list[C]:
        """Returns what is given, newest sample first."""
        return sorted(self._given.values(), key=lambda one: (-one.placed_at, one.region, one.source_id))

    def complete(self, clearing: Iterable[C], own: Mapping[str, Sequence[C]]) -> None:
        """Adds what was wanted. `own` holds, by region, one record more than the selection wants, newest first."""
        self.add(clearing)
        newest = self._selection.newest
        for region, records in own.items():
            self.add(records[:newest])
            if len(records) > newest:
                self.left_out[region] = Instant(records[newest].latest_at + 1)

    def add(self, records: Iterable[C]) -> None:
        """Adds records."""
        self._given.update(((one.region, one.source_id), one) for one in records)

    def _wanted(
        self, before: int, regions: Collection[str], always: Sequence[C], originals: Sequence[RecordId]
    ) -> Wanted:
        clearing = []
        for weight in AGAINST:
            # Whatever clears the newest positive clears those before it.
            newest = max((one.placed_at for one in always if one.weight == weight), default=None)
            if newest is not None and newest < before and self._selection.clearing:
                clearing.append(newest)
        own = []
        for region in self._selection.own_regions:
            if region in regions:
                self.left_out[region] = Instant(before)
            else:
                own.append(region)
        return Wanted(clearing, own, originals)


class Source(Protocol[C_co]):
    """Some people's records as a store has them, the last revision of each."""

    def recent(self, key: bytes, since: Instant) -> Sequence[C_co]:
        """Returns a person's records that were sampled or reported at an instant or later."""

    def older(self, key: bytes, since: Instant, most: int) -> Sequence[C_co]:
        """Returns the newest of the others, newest first."""

    def always(self, key: bytes) -> Sequence[C_co]:
        """Returns what is always given: see revisions.always_given."""

    def clearing(self, key: bytes, after: int, most: int) -> Iterable[C_co]:
        """Returns the first negatives of single tubes that were placed after an instant, by `latest_at`."""

    def own(self, key: bytes, region: str, most: int) -> Sequence[C_co]:
        """Returns the newest records of a region, newest first."""

    def original(self, key: bytes, record: RecordId) -> Iterable[tuple[bytes, C_co]]:
        """Returns what a person has under an id, and what its present holder has, each with the key of whose it is."""


def select(
    keys: Iterable[bytes], selection: Selection, source: Source[C], origin_of: Callable[[C], RecordId | None]
) -> Mapping[bytes, Chosen[C]]:
    """Returns the choice among each person's records. An original may be another document's of the same person: where
    that is asked about as well, it is given there."""
    choices = {
        key: Chosen(
            selection,
            source.recent(key, selection.since),
            source.older(key, selection.since, selection.newest + 1),
            source.always(key),
            origin_of,
        )
        for key in keys
    }
    for key, choice in choices.items():
        wanted = choice.wanted
        choice.complete(
            (one for after in wanted.clearing for one in source.clearing(key, after, selection.clearing)),
            {region: source.own(key, region, selection.newest + 1) for region in wanted.own},
        )
        for original in wanted.originals:
            for holder, record in source.original(key, original):
                if holder in choices:
                    choices[holder].add([record])
    return choices


class HeldRecords(Generic[C]):
    """A Source of records that are all in memory, by person and by record."""

    def __init__(self, people: Mapping[bytes, Sequence[C]], origin_of: Callable[[C], RecordId | None]) -> None:
        self._newest_first = {key: sorted(records, key=_newest_first) for key, records in people.items()}
        self._origin_of = origin_of
        self._by_id: dict[tuple[str, str], list[tuple[bytes, C]]] = {}
        for key, records in people.items():
            for record in records:
                self._by_id.setdefault((record.region, record.source_id), []).append((key, record))

    def _of(self, key: bytes) -> Sequence[C]:
        return self._newest_first.get(key, ())

    def recent(self, key: bytes, since: Instant) -> Sequence[C]:
        """See Source."""
        return [one for one in self._of(key) if one.latest_at >= since]

    def older(self, key: bytes, since: Instant, most: int) -> Sequence[C]:
        """See Source."""
        return [one for one in self._of(key) if one.latest_at < since][:most]

    def always(self, key: bytes) -> Sequence[C]:
        """See Source."""
        return [one for one in self._of(key) if always_given(one.weight, self._origin_of(one))]

    def clearing(self, key: bytes, after: int, most: int) -> Iterable[C]:
        """See Source."""
        negatives = [one for one in self._of(key) if one.weight == Weight.NEGATIVE_SINGLE and one.placed_at > after]
        return sorted(negatives, key=_oldest_first)[:most]

    def own(self, key: bytes, region: str, most: int) -> Sequence[C]:
        """See Source."""
        return [one for one in self._of(key) if one.region == region][:most]

    def original(self, key: bytes, record: RecordId) -> Iterable[tuple[bytes, C]]:
        """See Source."""
        return self._by_id.get(record, ())


def _newest_first(one: Candidate) -> tuple[int, str, str]:
    return (-one.latest_at, one.region, one.source_id)


def _oldest_first(one: Candidate) -> tuple[int, str, str]:
    return (one.latest_at, one.region, one.source_id)
