"""Random evidence, on a grid coarse enough that instants meet: edges are where rules go wrong."""

from datetime import date

from hypothesis import strategies as st

from services.common.instants import HOUR, Instant, parse_rfc3339
from services.verdict.domain.evidence.values import (
    Channel,
    Check,
    Evidence,
    Interval,
    Kind,
    Laboratory,
    Origin,
    Record,
    Result,
    Scene,
    Scope,
    Suspension,
    Tube,
)

NOON = parse_rfc3339("2022-08-31T12:00:00+08:00")
"""Half a day before policies change in the fine print, in the midst of all the evidence."""

REGIONS = ("140000", "150000", "370000", "610000", "620000")
ELSEWHERE = ("140000", "150000", "370000", "430000", "340000")
SCENES = (Scene.NONE, Scene.HOSPITAL, Scene.SCHOOL, Scene.METRO)
LABORATORIES = ("good", "doubtful")

hours = st.integers(-96, 48).map(lambda number: Instant(NOON + number * 6 * HOUR // 2))
instants = st.one_of(hours, st.integers(NOON - 90 * HOUR, NOON + 90 * HOUR).map(Instant))


checks = st.builds(
    Check,
    st.sampled_from(SCENES),
    st.one_of(st.none(), st.dates(date(2016, 8, 25), date(2016, 9, 6)), st.dates(date(2019, 8, 25), date(2019, 9, 6))),
)
"""Some holders turn six, or three, within the days of the evidence: the ages of the fine print's exemptions."""


@st.composite
def records(draw, number: int, copies: bool = True) -> Record:
    """One record, of a sampling record or a result; sometimes a copy."""
    sampled = draw(hours)
    reported = draw(st.one_of(st.none(), st.integers(0, 12).map(lambda step: Instant(sampled + step * 2 * HOUR))))
    known_sampling = reported is None or draw(st.integers(0, 5)) > 0
    origin = None
    if copies and draw(st.integers(0, 4)) == 0:
        origin = Origin(
            draw(st.sampled_from(ELSEWHERE)), draw(st.sampled_from(["", "r0", "r1"])), draw(st.integers(0, 2))
        )
    return Record(
        region=draw(st.sampled_from(ELSEWHERE)),
        source_id=f"r{number}",
        revision=draw(st.integers(1, 3)),
        kind=Kind.SAMPLING if reported is None else Kind.RESULT,
        result=0
        if reported is None
        else draw(
            st.sampled_from([Result.NEGATIVE, Result.NEGATIVE, Result.NEGATIVE, Result.POSITIVE, Result.INCONCLUSIVE])
        ),
        tube=draw(st.sampled_from([Tube.SINGLE, Tube.SINGLE, Tube.POOL_10])),
        channel=draw(st.sampled_from(list(Channel))),
        laboratory=draw(st.sampled_from(LABORATORIES)),
        sampled_at=sampled if known_sampling else None,
        reported_at=reported,
        origin=origin,
        retracted=draw(st.integers(0, 9)) == 0,
    )


@st.composite
def evidence(draw, most: int = 6, copies: bool = True, suspensions: bool = True, outages: bool = True) -> Evidence:
    """Evidence for a verdict in one of the regions of the fine print."""
    many = draw(st.integers(0, most))
    laboratories = {}
    if suspensions and draw(st.booleans()):
        begin = draw(hours)
        laboratories["doubtful"] = Laboratory(
            "doubtful",
            (),
            (
                Suspension(
                    Interval(begin, Instant(begin + 24 * HOUR)),
                    draw(st.one_of(st.none(), hours)),
                    draw(st.one_of(st.none(), hours)),
                ),
            ),
        )
    region = draw(st.sampled_from(REGIONS))
    answers = st.booleans() if outages else st.just(True)
    return Evidence(
        region=region,
        scope=draw(st.sampled_from(list(Scope))),
        records=tuple(draw(records(number, copies)) for number in range(many)),
        laboratories=laboratories,
        coverage={region: draw(answers), "nation": draw(answers)},
    )
