"""Token buckets hold what their rule says, whatever is asked and when."""

from hypothesis import given
from hypothesis import strategies as st

from services.runtime.limits.buckets import LocalBuckets, Taking
from services.runtime.limits.rules import Rule

RULE = Rule("code-per-address", 10.0, 50.0)


@given(st.lists(st.tuples(st.floats(0, 5), st.integers(1, 60)), max_size=60))
def test_no_more_is_given_than_the_rule_says(asked: list[tuple[float, int]]) -> None:
    """At most a full bucket and what has come in since, besides what one asks beyond a bucket's size."""
    buckets, now, given_out, largest = LocalBuckets(), 0.0, 0.0, 0
    for pause, tokens in asked:
        now += pause
        largest = max(largest, tokens)
        if buckets.take(Taking(RULE, "a", tokens), now) <= 0:
            given_out += tokens
    assert given_out <= RULE.burst + now * RULE.rate + max(0, largest - RULE.burst) + 1e-6


def test_what_is_missing_is_there_after_the_time_that_is_told():
    """A little before it is not."""
    buckets = LocalBuckets()
    assert buckets.take(Taking(RULE, "a", 50), 0.0) <= 0
    missing = buckets.take(Taking(RULE, "a", 20), 0.0)
    assert 20 == missing
    assert buckets.take(Taking(RULE, "a", 20), missing / RULE.rate - 0.01) > 0
    assert buckets.take(Taking(RULE, "a", 20), missing / RULE.rate + 0.01) <= 0


def test_askers_have_buckets_of_their_own():
    """One that is empty is nobody else's."""
    buckets = LocalBuckets()
    assert buckets.take(Taking(RULE, "a", 50), 0.0) <= 0
    assert buckets.take(Taking(RULE, "b", 50), 0.0) <= 0


def test_what_is_forced_leaves_a_debt_and_a_bounded_one():
    """A debt is paid off before anything is given, and never larger than a full bucket."""
    buckets = LocalBuckets()
    assert 50 == buckets.take(Taking(RULE, "a", 1000, forced=True), 0.0)
    assert buckets.take(Taking(RULE, "a", 1), 5.0) > 0
    assert buckets.take(Taking(RULE, "a", 1), 5.2) <= 0


def test_only_so_many_askers_are_remembered():
    """The one longest unheard of goes first."""
    buckets = LocalBuckets(most=3)
    for asker in ("a", "b", "c", "a", "d"):
        buckets.take(Taking(RULE, asker, 50, forced=True), 0.0)
    assert 3 == len(buckets)
    assert buckets.take(Taking(RULE, "b", 50), 0.0) <= 0
    assert buckets.take(Taking(RULE, "a", 1), 0.0) > 0
