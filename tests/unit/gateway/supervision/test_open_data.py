"""Gives no small figure away in what is published, whoever adds and whoever knows the rule."""

import csv
import io
from collections import defaultdict
from collections.abc import Sequence
from itertools import product
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.supervision.open_data import COLUMNS, HIDDEN, WHOLE_REGION, dictionary, header, published
from gateway.supervision.outcomes import Measure
from gateway.supervision.store.values import Cell
from gateway.supervision.suppression import LEAST, hidden

FAMILIES = st.lists(st.one_of(st.integers(0, 12), st.integers(0, 5_000)), min_size=1, max_size=12)


def seen(family: Sequence[int], order: Sequence[int], least: int) -> tuple[object, ...]:
    """Returns what anybody sees of a family: its figures and its total, None for what is hidden."""
    places, total = hidden(family, order, least)
    shown = [None if place in places else number for place, number in enumerate(family)]
    return (*shown, None if total else sum(family))


@pytest.mark.parametrize("least", [3, 4])
@pytest.mark.parametrize("places", [1, 2, 3])
def test_who_knows_the_rule_and_tries_every_family_learns_no_small_figure(least: int, places: int) -> None:
    """Every family is published; of those that look alike, each hidden small figure is at least two different ones.
    Where the total is shown, all that could lie behind it were tried; where it is hidden, so many that more change
    nothing."""
    most = 7 * least
    order = list(range(places))[::-1]
    alike: dict[tuple[object, ...], list[tuple[int, ...]]] = defaultdict(list)
    for family in product(range(most + 1), repeat=places):
        alike[seen(family, order, least)].append(family)
    for shown, families in alike.items():
        if isinstance(shown[-1], int) and shown[-1] > most:
            # Greater figures than were tried might lie behind it.
            continue
        for place in range(places):
            if shown[place] is None and any(0 < family[place] < least for family in families):
                assert len({family[place] for family in families}) > 1, (shown, families)


@given(FAMILIES, st.randoms())
def test_no_small_figure_is_published_nor_told_by_the_total(family: list[int], random: Random) -> None:
    """Whatever the family: from 1 to 4 nothing is shown, and behind a total every small one may be any of these."""
    order = list(range(len(family)))
    random.shuffle(order)
    places, total = hidden(family, order)
    small = [place for place, number in enumerate(family) if 0 < number < LEAST]
    assert set(small) <= places
    assert all(family[place] for place in places)
    if not small:
        assert (frozenset(), False) == (places, total)
    if small and not total:
        left_over = sum(family[place] for place in places)
        further = len(places) - len(small)
        assert further
        # One small figure takes each value, the others their least, and the further ones still have their least.
        assert left_over - (LEAST - 1) - (len(small) - 1) >= LEAST * further
    if 0 < sum(family) < LEAST:
        assert total


CELLS = st.dictionaries(
    st.tuples(st.sampled_from(["110000", "310000"]), st.integers(0, 4), st.sampled_from(list(Measure))),
    st.one_of(st.integers(1, 12), st.integers(1, 500)),
    max_size=40,
)


@given(CELLS)
def test_the_file_holds_every_figure_or_its_mark(figures: dict[tuple[str, int, Measure], int]) -> None:
    """Totals are the sums of their places, hidden ones among them; nothing below 5 but 0 is in it."""
    cells = [
        Cell(20_000, region, scene, measure, number) for (region, scene, measure), number in sorted(figures.items())
    ]
    rows = list(csv.DictReader(io.StringIO((header() + published(20_000, cells)).decode("utf-8-sig"))))
    assert all(value in ("", HIDDEN, "0") or int(value) >= LEAST for row in rows for value in list(row.values())[3:])
    assert {region for region, _, _ in figures} == {row["region"] for row in rows}
    for name, measure in zip(list(COLUMNS)[3:8], list(Measure)[:5], strict=True):
        for region in {region for region, _, _ in figures}:
            of_region = [row for row in rows if row["region"] == region]
            whole = sum(number for (where, _, what), number in figures.items() if (where, what) == (region, measure))
            total = next(row[name] for row in of_region if row["scene"] == WHOLE_REGION)
            assert total in (str(whole), HIDDEN)
            shown = [row[name] for row in of_region if row["scene"] != WHOLE_REGION]
            if total != HIDDEN and HIDDEN in shown:
                assert shown.count(HIDDEN) > 1


def test_the_dictionary_says_what_each_column_is_in_both_languages() -> None:
    """Each column, in the order of the file."""
    rows = list(csv.reader(io.StringIO(dictionary().decode("utf-8-sig"))))
    assert list(COLUMNS) == [row[0] for row in rows[1:] if row[0]]
    assert all(row[1] and row[2] for row in rows)
    assert header().decode("utf-8-sig").strip().split(",") == list(COLUMNS)
