"""A verdict on a selection of a person's past is the one that judging everything gives, or says that it may not be.

The slice in CI is small; `HUTONG_PASTS=1000000 python -m pytest tests/unit/verdict/test_selected_pasts.py` tries a
million.
"""

import os
import random
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import msgspec
import pytest

from services.common.instants import HOUR, Instant, from_timestamp
from services.common.regions import NATION
from services.records.domain.revisions import RecordId
from services.records.domain.selection import HeldRecords, JoinedSources, Selection, Source, select
from services.records.domain.weight import Weight
from services.verdict.domain.evidence.values import Check, Evidence, LeftOut, Record, Result, Scope, Tube
from services.verdict.domain.judgement.judge import judge
from services.verdict.domain.judgement.left_out import may_be_another
from services.verdict.domain.verdict import Status, Verdict
from services.verdict.servicers.selections import selection
from tests.testkit.builders import random_pasts
from tests.testkit.builders.random_pasts import HERE, Past
from tests.testkit.clocks import NOON

PASTS = int(os.environ.get("HUTONG_PASTS", "6000"))
PARTS = 4


class _Stored(NamedTuple):
    """A record as a store sees it."""

    record: Record
    placed_at: int
    latest_at: int
    weight: int
    retracted: bool

    @property
    def region(self) -> str:
        return self.record.region

    @property
    def source_id(self) -> str:
        return self.record.source_id


def _stored(record: Record) -> _Stored:
    weight = Weight.ORDINARY
    if not record.retracted and record.kind == 2:
        single = record.tube == Tube.SINGLE
        if record.result == Result.POSITIVE:
            weight = Weight.POSITIVE_SINGLE if single else Weight.POSITIVE_POOL
        elif record.result == Result.NEGATIVE and single:
            weight = Weight.NEGATIVE_SINGLE
    sampled, reported = record.sampled_at or 0, record.reported_at or 0
    return _Stored(record, sampled or reported, max(sampled, reported), weight, record.retracted)


def _original(stored: _Stored) -> RecordId | None:
    origin = stored.record.origin
    return RecordId(origin.region, origin.source_id) if origin is not None and origin.source_id else None


def _source(people: dict[bytes, list[Past]], known_at: Instant) -> Source[_Stored]:
    """Returns the records as known at an instant, as a store has them: what is current and was known, and what has been
    superseded since."""
    current, superseded = (
        HeldRecords(
            {
                key: [
                    _stored(revision)
                    for past in pasts
                    if (revision := past.known_at(known_at)) is not None and (revision is past.last) == is_last
                ]
                for key, pasts in people.items()
            },
            _original,
        )
        for is_last in (True, False)
    )
    return JoinedSources(current, superseded)


def _standing(records: Iterable[Record]) -> int:
    return sum(not record.retracted for record in records)


def _selected(people: dict[bytes, list[Past]], wanted: Selection, whole: Evidence, known_at: Instant) -> Evidence:
    """Returns the records that nation and region give of a person, joined as the lookup joins them."""
    given: dict[tuple[str, str], Record] = {}
    left_out: dict[str, LeftOut] = {}
    known: dict[str, int] = {}
    bounded: set[str] = set()
    for regions in (None, {HERE}):
        kept = {
            key: [past for past in pasts if regions is None or past.last.region in regions]
            for key, pasts in people.items()
        }
        for choice in select(kept, wanted, _source(kept, known_at), _original).values():
            given.update(((one.region, one.source_id), one.record) for one in choice.given)
            for region, (before, records, at_least) in choice.left_out.items():
                bounded |= {region} if at_least else set()
                latest = left_out.get(region)
                left_out[region] = LeftOut(before if latest is None else max(before, latest.before), 0)
                if regions is None:
                    # The nation knows of all that there is.
                    known[region] = known.get(region, 0) + records
            if regions is None:
                for region in ("", HERE):
                    there = [one.record for one in choice.given if region in ("", one.region)]
                    known[region] = known.get(region, 0) + _standing(there)
    counted = {
        region: LeftOut(
            one.before,
            max(0, known[region] - _standing(record for record in given.values() if region in ("", record.region))),
            region in bounded,
        )
        for region, one in left_out.items()
    }
    return msgspec.structs.replace(whole, records=tuple(given.values()), left_out=counted)


def _counted(verdict: Verdict) -> int:
    """Returns how many tests and records the verdict says fell short."""
    named = sum(reason.evidence is not None for reason in verdict.reasons)
    return named + sum(further.count for further in verdict.further_reasons)


def _told(verdict: Verdict) -> tuple[Any, ...]:
    return (
        verdict.status,
        verdict.colour,
        verdict.days_since_test,
        verdict.days_evidence,
        verdict.scene,
        verdict.valid_until,
        verdict.fresh_until,
        verdict.grounds,
        verdict.notice,
        verdict.national_would_recognise,
        verdict.newest,
    )


class _Seen(NamedTuple):
    """One random past, judged on a selection and on everything."""

    selected: Verdict
    whole: Verdict
    another: bool
    left_out: int
    retracted: int
    """How many of what was left out were retracted."""
    at_least: bool
    """Whether what was left out was not counted to the end."""
    then: bool
    """Whether it was judged as known before the last revision."""


def _try(rng: random.Random) -> _Seen:
    policies = random_pasts.policies(rng) if rng.random() < 0.05 else _POLICIES[rng.randrange(len(_POLICIES))]
    pasts = random_pasts.histories(rng, random_pasts.past(rng))
    at = Instant(NOON + rng.choice([0, 0, 0, -30 * HOUR, 90 * HOUR]))
    # What is known later than now is not known.
    known_at = max(at, NOON)
    if rng.random() < 0.3:
        known_at = Instant(NOON - rng.choice([1, 20, 100, 1000]) * HOUR)
        at = Instant(known_at - rng.choice([0, 0, 10]) * HOUR)
    scope = rng.choice([Scope.NATIONAL, Scope.NATIONAL, Scope.LOCAL])
    whole = Evidence(
        region=HERE,
        scope=scope,
        records=tuple(record for past in pasts if (record := past.known_at(known_at)) is not None),
        laboratories=random_pasts.laboratories(rng),
        coverage={HERE: True, NATION: True},
    )
    asked = selection(policies, HERE, at)
    assert asked is not None
    own = {*asked.own_regions, *([HERE] if scope == Scope.LOCAL else [])}
    wanted = Selection(from_timestamp(asked.since), asked.newest, asked.clearing, sorted(own))
    seen = _selected(random_pasts.split(rng, pasts), wanted, whole, known_at)
    verdict = judge(seen, policies, at, known_at, Check())
    return _Seen(
        verdict,
        judge(whole, policies, at, known_at, Check()),
        may_be_another(verdict, seen, policies),
        len(whole.records) - len(seen.records),
        len(whole.records) - _standing(whole.records) - len(seen.records) + _standing(seen.records),
        any(one.at_least for one in seen.left_out.values()),
        whole.records != tuple(past.last for past in pasts),
    )


_POLICIES = [random_pasts.policies(random.Random(seed)) for seed in range(60)]


@pytest.mark.timeout(max(120, PASTS // 100))
@pytest.mark.parametrize("part", range(PARTS))
def test_a_selection_gives_the_verdict_that_everything_gives(
    part: int, record_property: Callable[[str, object], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Status, colour, days, scene, until when, how long it is fresh, on which grounds, and how much fell short; also as
    known before corrections came, and where what was left out is counted to its end or but a little way."""
    monkeypatch.setattr("services.records.domain.selection.MOST_COUNTED", 300 if part % 2 else 3)
    tried = narrowed = again = then = bounded = 0
    statuses: set[Status] = set()
    for number in range(part, PASTS, PARTS):
        one = _try(random.Random(number))
        if not one.another:
            assert _told(one.selected) == _told(one.whole), number
            if one.whole.status in (Status.NOT_RECOGNISED, Status.PENDING):
                counted = _counted(one.selected) + one.retracted
                assert counted <= _counted(one.whole), number
                assert one.at_least or counted == _counted(one.whole), number
        tried += 1
        if one.left_out:
            narrowed += 1
            again += one.another
            then += one.then
            bounded += one.at_least
            statuses |= set() if one.another else {one.whole.status}
    record_property("narrowed, of, asked again, as known then", f"{narrowed}, {tried}, {again}, {then}")
    # None of it holds by chance: much is left out, of every verdict, and it is seldom that it has to be asked for.
    assert narrowed > tried / 4
    assert again / narrowed < 0.5
    assert then / narrowed > 0.1
    assert (bounded / narrowed > 0.1) == (part % 2 == 0)
    assert {status for status in Status if status != Status.UNDETERMINED} - {Status.NOT_REQUIRED} <= statuses
