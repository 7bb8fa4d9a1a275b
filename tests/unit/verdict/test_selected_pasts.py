"""A verdict on a selection of a person's past is the one that judging everything gives, or says that it may not be.

The slice in CI is small; `HUTONG_PASTS=1000000 python -m pytest tests/unit/verdict/test_selected_pasts.py` tries a
million.
"""

import os
import random
from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec
import pytest

from services.common.instants import HOUR, Instant, from_timestamp
from services.common.regions import NATION
from services.records.domain.revisions import RecordId
from services.records.domain.selection import HeldRecords, Selection, select
from services.records.domain.weight import Weight
from services.verdict.domain.evidence.values import Check, Evidence, Record, Result, Scope, Tube
from services.verdict.domain.judgement.judge import judge
from services.verdict.domain.judgement.left_out import may_be_another
from services.verdict.domain.verdict import Status, Verdict
from services.verdict.servicers.selections import selection
from tests.testkit.builders import random_pasts
from tests.testkit.builders.random_pasts import HERE
from tests.testkit.clocks import NOON

PASTS = int(os.environ.get("HUTONG_PASTS", "6000"))
PARTS = 4


class _Stored(NamedTuple):
    """A record as a store sees it."""

    record: Record
    placed_at: int
    latest_at: int
    weight: int

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
    return _Stored(record, sampled or reported, max(sampled, reported), weight)


def _original(stored: _Stored) -> RecordId | None:
    origin = stored.record.origin
    return RecordId(origin.region, origin.source_id) if origin is not None and origin.source_id else None


def _selected(people: dict[bytes, list[Record]], wanted: Selection, whole: Evidence) -> Evidence:
    """Returns the records that nation and region give of a person, joined as the lookup joins them."""
    given: dict[tuple[str, str], Record] = {}
    left_out: dict[str, Instant] = {}
    for regions in (None, {HERE}):
        held = {
            key: [_stored(record) for record in records if regions is None or record.region in regions]
            for key, records in people.items()
        }
        for choice in select(held, wanted, HeldRecords(held, _original), _original).values():
            given.update(((one.region, one.source_id), one.record) for one in choice.given)
            for region, before in choice.left_out.items():
                left_out[region] = max(before, left_out.get(region, before))
    return msgspec.structs.replace(whole, records=tuple(given.values()), left_out=left_out)


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


def _try(rng: random.Random) -> _Seen:
    policies = random_pasts.policies(rng) if rng.random() < 0.05 else _POLICIES[rng.randrange(len(_POLICIES))]
    records = random_pasts.past(rng)
    at = Instant(NOON + rng.choice([0, 0, 0, -30 * HOUR, 90 * HOUR]))
    scope = rng.choice([Scope.NATIONAL, Scope.NATIONAL, Scope.LOCAL])
    whole = Evidence(
        region=HERE,
        scope=scope,
        records=tuple(records),
        laboratories=random_pasts.laboratories(rng),
        coverage={HERE: True, NATION: True},
    )
    asked = selection(policies, HERE, at)
    assert asked is not None
    own = {*asked.own_regions, *([HERE] if scope == Scope.LOCAL else [])}
    wanted = Selection(from_timestamp(asked.since), asked.newest, asked.clearing, sorted(own))
    seen = _selected(random_pasts.split(rng, records), wanted, whole)
    # What is known later than now is not known.
    known_at = max(at, NOON)
    verdict = judge(seen, policies, at, known_at, Check())
    return _Seen(
        verdict,
        judge(whole, policies, at, known_at, Check()),
        may_be_another(verdict, seen, policies),
        len(whole.records) - len(seen.records),
    )


_POLICIES = [random_pasts.policies(random.Random(seed)) for seed in range(60)]


@pytest.mark.timeout(max(120, PASTS // 100))
@pytest.mark.parametrize("part", range(PARTS))
def test_a_selection_gives_the_verdict_that_everything_gives(part: int) -> None:
    """Status, colour, days, scene, until when, how long it is fresh, and on which grounds."""
    seen: list[_Seen] = []
    for number in range(part, PASTS, PARTS):
        one = _try(random.Random(number))
        if not one.another:
            assert _told(one.selected) == _told(one.whole), number
        seen.append(one)
    # None of it holds by chance: much is left out, of every verdict, and it is seldom that it has to be asked for.
    narrowed = [one for one in seen if one.left_out]
    assert len(narrowed) > len(seen) / 4
    assert _share(one.another for one in narrowed) < 0.4
    assert {status for status in Status if status != Status.UNDETERMINED} - {Status.NOT_REQUIRED} <= {
        one.whole.status for one in narrowed if not one.another
    }


def _share(flags: Iterable[bool]) -> float:
    values = list(flags)
    return sum(values) / len(values)
