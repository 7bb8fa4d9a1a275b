"""Verdicts are cached for as long as they may be, and some not at all."""

import pytest
from hutong.lookup.v1.evidence_service_pb2 import SourceCoverage
from hutong.verdict.v1.verdict_pb2 import Status, Verdict
from hypothesis import given
from hypothesis import strategies as st

from gateway.codes.cache.entry import LONGEST, PARTIAL, fresh_until
from services.common.instants import DAY, HOUR, Instant, to_timestamp
from tests.testkit.builders.cache_entries import entry

PERSON = b"p" * 16
NOW = Instant(1_660_000_000_000_000)


def verdict(status: int = 1, until: int | None = DAY, sources: tuple[int, ...] = (1, 1)) -> Verdict:
    """A verdict on one person, and the next change `until` microseconds away."""
    made = Verdict(
        status=status,  # type: ignore[arg-type]
        person_keys=[PERSON],
        coverage=[SourceCoverage(source=str(at), status=one) for at, one in enumerate(sources)],  # type: ignore[arg-type]
    )
    if until is not None:
        made.fresh_until.CopyFrom(to_timestamp(Instant(NOW + until)))
    return made


@given(
    until=st.none() | st.integers(1, 30 * DAY),
    chance=st.floats(0, 1, exclude_max=True),
    sources=st.lists(st.integers(1, 2), max_size=4).map(tuple),
)
def test_entry_is_never_fresh_past_its_verdict(until: int | None, chance: float, sources: tuple[int, ...]) -> None:
    """Jitter only ever shortens: never past fresh_until, the longest time, or the few seconds of a partial answer."""
    kept = fresh_until(verdict(until=until, sources=sources), PERSON, NOW, chance)
    bound = min([LONGEST, *([] if until is None else [until]), *([PARTIAL] if 2 in sources else [])])
    assert kept is not None
    assert NOW + bound * 0.9 - 1 <= kept <= NOW + bound


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(verdict(status=6), id="undetermined"),
        pytest.param(verdict(until=0), id="already changing"),
        pytest.param(verdict(until=-HOUR), id="already changed"),
        pytest.param(Verdict(status=Status.STATUS_RECOGNISED, person_keys=[PERSON, b"q" * 16]), id="several documents"),
        pytest.param(Verdict(status=Status.STATUS_RECOGNISED, person_keys=[b"q" * 16]), id="somebody else"),
        pytest.param(Verdict(status=Status.STATUS_RECOGNISED), id="nobody"),
    ],
)
def test_what_must_not_be_cached_is_not(made: Verdict) -> None:
    """Undetermined answers, answers already out of date, and those a change under another key could not find."""
    assert fresh_until(made, PERSON, NOW, 0.0) is None


def test_entry_is_fresh_until_its_time_and_under_its_policy() -> None:
    """At its very end an entry is no longer fresh; under another policy it never was."""
    kept = entry()
    assert kept.fresh(Instant(kept.fresh_until - 1), b"d")
    assert not kept.fresh(Instant(kept.fresh_until), b"d")
    assert not kept.fresh(Instant(kept.fresh_until - 1), b"other")
    assert not kept.fresh(Instant(kept.fresh_until - 1), None)


def test_last_known_verdict_is_displayable_while_it_is_valid() -> None:
    """Past its freshness, before the end of its validity, unless the policy is known to have changed."""
    kept = entry()
    late = Instant(kept.valid_until - 1)
    assert kept.displayable(late, b"d")
    assert kept.displayable(late, None)
    assert not kept.displayable(late, b"other")
    assert not kept.displayable(Instant(kept.valid_until), b"d")
