"""The selection of a person's records: those that can matter to whoever judges, and those that an answer leaves out.

A judge needs what is recent, the newest few of what is not, what counts against the person with what clears it, and all
records of a test of which one is given. Everything else is left out, and the answer says from when on nothing is: a
judge whose verdict could rest on what is missing asks again for everything.

The choice has two steps, so that a store that keeps indexes reads little: the first looks at what is recent and what is
always given, the second fetches what those ask for.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, Protocol, TypeVar

from services.common.instants import Instant
from services.records.domain.revisions import RecordId, always_given
from services.records.domain.weight import AGAINST, Weight

ANY_REGION = ""
"""In what was left out: of whatever region."""

MOST_COUNTED = 300
"""A store counts what it leaves out to here and no further: to count is to walk the index."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The records of a person that are wanted: see hutong.records.v1.RecordSelection."""

    since: Instant
    newest: int
    clearing: int
    own_regions: Sequence[str] = ()


class LeftOut(NamedTuple):
    """The part left out of one person's records, of one region or of any: nothing that was sampled or reported at
    `before` or later, and of what is older so many records, retracted ones not counted; or, with `at_least`, so many or
    more."""

    before: Instant
    records: int
    at_least: bool = False


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

    @property
    def retracted(self) -> int:
        """True for a retraction."""


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

    `newest` are all that are not older than the selection's instant, and of the others the newest: one, and so many
    that there are more than the selection wants in all, if it has them; newest first. `always` is what is given however
    old it is. `origin_of` tells the original that a record names.
    """

    def __init__(
        self,
        selection: Selection,
        newest: Sequence[C],
        always: Sequence[C],
        origin_of: Callable[[C], RecordId | None],
    ) -> None:
        self._selection = selection
        self._given: dict[tuple[str, str], C] = {}
        self._before: dict[str, Instant] = {}
        self._older: dict[str, int] = {}
        recent = next((n for n, one in enumerate(newest) if one.latest_at < selection.since), len(newest))
        given = max(recent, selection.newest)
        self.add(newest[:given])
        self.add(always)
        # Also where nothing of this document is left out: an original may be another's of the same person.
        originals = {origin for one in always if (origin := origin_of(one)) is not None and origin not in self._given}
        self.wanted = Wanted(originals=sorted(originals))
        if len(newest) > given:
            before = newest[given].latest_at + 1
            self._before[ANY_REGION] = Instant(before)
            regions = {one.region for one in newest}
            self.wanted = self._wanted(before, regions, always, self.wanted.originals)

    @property
    def given(self) -> list[C]:
        """Returns what is given, newest sample first."""
        return sorted(self._given.values(), key=lambda one: (-one.placed_at, one.region, one.source_id))

    @property
    def to_count(self) -> Mapping[str, int]:
        """Returns the regions, ANY_REGION among them, of which the older records are to be counted, each with how far
        to count: so far that what is given besides is known from what is not."""
        return {region: MOST_COUNTED + 1 + self._older_given(region) for region in self._before}

    @property
    def left_out(self) -> Mapping[str, LeftOut]:
        """Returns what was left out, by region or for any."""
        return {region: self._left_out(region, before) for region, before in self._before.items()}

    def complete(self, clearing: Iterable[C], own: Mapping[str, Sequence[C]]) -> None:
        """Adds what was wanted. `own` holds, by region, one record more than the selection wants, newest first."""
        self.add(clearing)
        newest = self._selection.newest
        for region, records in own.items():
            self.add(records[:newest])
            if len(records) > newest:
                self._before[region] = Instant(records[newest].latest_at + 1)

    def count(self, region: str, older: int) -> None:
        """Notes how many records of a region, or of any, are older than the selection's instant, and not retracted; no
        less than `to_count` says, where there are more."""
        self._older[region] = older

    def add(self, records: Iterable[C]) -> None:
        """Adds records."""
        self._given.update(((one.region, one.source_id), one) for one in records)

    def _left_out(self, region: str, before: Instant) -> LeftOut:
        count = max(0, self._older[region] - self._older_given(region))
        return LeftOut(before, min(count, MOST_COUNTED), count > MOST_COUNTED)

    def _older_given(self, region: str) -> int:
        since = self._selection.since
        return sum(
            one.latest_at < since and not one.retracted and region in (ANY_REGION, one.region)
            for one in self._given.values()
        )

    def _wanted(
        self, before: int, regions: Collection[str], always: Sequence[C], originals: Sequence[RecordId]
    ) -> Wanted:
        clearing = []
        for weight in AGAINST if always else ():
            # Whatever clears the newest positive clears those before it.
            newest = max((one.placed_at for one in always if one.weight == weight), default=None)
            if newest is not None and newest < before and self._selection.clearing:
                clearing.append(newest)
        own = []
        for region in self._selection.own_regions:
            if region in regions:
                self._before[region] = Instant(before)
            else:
                own.append(region)
        return Wanted(clearing, own, originals)


class Source(Protocol[C_co]):
    """Some people's records as a store has them, the last revision of each."""

    def first(self, key: bytes, since: Instant, most: int) -> tuple[Sequence[C_co], Sequence[C_co]]:
        """Returns a person's records that were sampled or reported at an instant or later, and of the others the
        newest, one and so many that there are at least `most` in all, newest first; and what is always given: see
        revisions.always_given."""

    def count(self, key: bytes, since: Instant, region: str, most: int) -> int:
        """Returns how many of a person's records, of a region or ANY_REGION, are older, and not retracted; any number
        from `most` on where there are so many."""

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
            *source.first(key, selection.since, selection.newest + 1),
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
    # When all is given that will be: how far to count depends on it.
    for key, choice in choices.items():
        for region, most in choice.to_count.items():
            choice.count(region, source.count(key, selection.since, region, most))
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

    def first(self, key: bytes, since: Instant, most: int) -> tuple[Sequence[C], Sequence[C]]:
        """See Source."""
        records = self._of(key)
        recent = sum(one.latest_at >= since for one in records)
        always = [one for one in records if always_given(one.weight, self._origin_of(one))]
        return records[: max(recent + 1, most)], always

    def count(self, key: bytes, since: Instant, region: str, most: int) -> int:
        """See Source."""
        return sum(
            one.latest_at < since and not one.retracted and region in (ANY_REGION, one.region) for one in self._of(key)
        )

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


class JoinedSources(Generic[C]):
    """A Source of two, each of which has other records than the other."""

    def __init__(self, first: Source[C], second: Source[C]) -> None:
        self._first = first
        self._second = second

    def first(self, key: bytes, since: Instant, most: int) -> tuple[Sequence[C], Sequence[C]]:
        """See Source."""
        newest, always = self._first.first(key, since, most)
        others, always_too = self._second.first(key, since, most)
        if not others:
            return newest, always
        joined = sorted([*newest, *others], key=_newest_first)
        recent = sum(one.latest_at >= since for one in joined)
        return joined[: max(recent + 1, most)], [*always, *always_too]

    def count(self, key: bytes, since: Instant, region: str, most: int) -> int:
        """See Source."""
        return self._first.count(key, since, region, most) + self._second.count(key, since, region, most)

    def clearing(self, key: bytes, after: int, most: int) -> Iterable[C]:
        """See Source."""
        both = [*self._first.clearing(key, after, most), *self._second.clearing(key, after, most)]
        return sorted(both, key=_oldest_first)[:most]

    def own(self, key: bytes, region: str, most: int) -> Sequence[C]:
        """See Source."""
        both = [*self._first.own(key, region, most), *self._second.own(key, region, most)]
        return sorted(both, key=_newest_first)[:most]

    def original(self, key: bytes, record: RecordId) -> Iterable[tuple[bytes, C]]:
        """See Source."""
        return [*self._first.original(key, record), *self._second.original(key, record)]


def _newest_first(one: Candidate) -> tuple[int, str, str]:
    return (-one.latest_at, one.region, one.source_id)


def _oldest_first(one: Candidate) -> tuple[int, str, str]:
    return (one.latest_at, one.region, one.source_id)
