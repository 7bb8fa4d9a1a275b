"""One deadline, two rounds."""

from hypothesis import given
from hypothesis import strategies as st

from services.lookup.domain.budget import ASSEMBLY_SECONDS, Budget


@given(st.floats(0, 30), st.floats(0.01, 5))
def test_both_rounds_fit_before_the_deadline(left: float, most: float) -> None:
    """Even when the first round uses all it may, the second has as much, and time remains to answer."""
    budget = Budget(100.0 + left, most)
    first = budget.first(100.0)
    second = budget.second(100.0 + max(first, 0))
    assert first <= most
    if first > 0:
        assert second >= first - 1e-9
        assert first + second <= left - ASSEMBLY_SECONDS + 1e-9


def test_plenty_of_time_gives_a_source_its_whole_patience() -> None:
    """A caller with time does not make sources hurry."""
    assert Budget(110.0, 1.0).first(100.0) == 1.0
