"""Benchmarks: how figures become a report, and how they are found and run. Nothing here measures time."""

import json
import sys
from types import ModuleType

import pytest

import bench.benchmarks
from bench import registry
from bench.protocol import CannotRunError, in_turn
from bench.report import Measure, Report, Series, as_json, as_text
from cli.exits import Exit
from cli.main import main
from services.common.errors import Text

OURS = Series(Text("本软件", "ours"), (60.0, 40.0, 50.0))
YARDSTICK = Series(Text("标尺", "yardstick"), (100.0, 100.0, 50.0))


class Fake:
    """A benchmark that has its figures at hand."""

    title = Text("假", "fake")

    async def run(self, rounds: int) -> Report:
        """Counts its rounds."""
        return Report((Measure("rows/s", Series(Text("本软件", "ours"), tuple(map(float, range(1, rounds + 1))))),))


class Unable:
    """A benchmark that lacks something."""

    title = Text("不能", "unable")

    async def run(self, rounds: int) -> Report:
        """Cannot."""
        raise CannotRunError("没有数据库", "There is no database")


@pytest.fixture
def benchmarks(tmp_path, monkeypatch):
    """A package with the benchmarks `fake` and `un-able`, in place of the real one."""
    for name in ("fake", "un_able", "not_installed"):
        (tmp_path / f"{name}.py").write_text("import no_such_module" if name == "not_installed" else "")
    package = ModuleType(bench.benchmarks.__name__)
    package.__path__ = [str(tmp_path)]
    monkeypatch.setitem(sys.modules, package.__name__, package)
    monkeypatch.setattr(registry.names, "__defaults__", (package,))
    monkeypatch.setattr(registry.load, "__defaults__", (package,))
    for name, benchmark in (("fake", Fake()), ("un_able", Unable())):
        module = ModuleType(f"{package.__name__}.{name}")
        module.BENCHMARK = benchmark  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.delitem(sys.modules, f"{package.__name__}.not_installed", raising=False)


async def test_measures_take_turns_after_a_round_that_does_not_count():
    """Every other round goes backwards, so that none is always the later."""
    order = []

    def measure(name: str, figures: list[float]):
        async def once() -> float:
            order.append(name)
            return figures.pop(0)

        return once

    figures = await in_turn(3, measure("a", [9, 1, 2, 3]), measure("b", [9, 4, 5, 6]))
    assert ([(1, 2, 3), (4, 5, 6)], list("ababbaab")) == (figures, order)


def test_the_ratio_compares_neighbours_in_time():
    """The median of the rounds' ratios, not the ratio of the medians."""
    assert 0.6 == Measure("µs", OURS, YARDSTICK).ratio


@pytest.mark.parametrize(
    ("bound", "ratio_bound", "higher", "met"),
    [
        (50.0, None, False, True),
        (49.0, None, False, False),
        (50.0, None, True, True),
        (51.0, None, True, False),
        (None, 0.6, False, True),
        (None, 0.5, False, False),
        (50.0, 0.61, True, False),
        (None, None, False, None),
    ],
)
def test_bounds_hold_for_the_medians(bound, ratio_bound, higher, met):
    """A floor where higher is better, else a ceiling; all of them must be kept."""
    measure = Measure("µs", OURS, YARDSTICK, higher_is_better=higher, bound=bound, ratio_bound=ratio_bound)
    assert met is measure.met


def test_spread_is_the_quartiles_distance_in_medians():
    """Of 40, 50, 60 the quartiles are 45 and 55."""
    assert (50.0, 0.2) == (OURS.median, OURS.spread)


def test_one_round_has_no_spread_and_none_is_refused():
    """A figure that was never measured is no figure."""
    assert Series(Text("", ""), (3.0,)).spread == 0.0
    with pytest.raises(ValueError, match="at least one"):
        Series(Text("", ""), ())


def test_a_report_has_every_value_in_json():
    """Whoever doubts a median can take the values."""
    made = as_json("x", Text("题", "title"), "machine", Report((Measure("µs", OURS, YARDSTICK, ratio_bound=1.0),)))
    measure = made["measures"][0]
    assert ("x", 3, [60.0, 40.0, 50.0], 0.6, True) == (
        made["benchmark"],
        made["rounds"],
        measure["ours"]["values"],
        measure["ratio"],
        measure["met"],
    )


def test_a_report_says_when_a_target_is_missed():
    """In both languages, with the figure, the yardstick and the ratio."""
    text = as_text("x", Text("题", "title"), "machine", Report((Measure("µs", OURS, YARDSTICK, bound=30.0),)))
    for part in ("machine", "50 µs", "40 … 60", "0.60×", "≤ 30 µs", "未达到 not met"):
        assert part in text


def test_the_command_runs_a_benchmark(benchmarks, capsys):
    """As many rounds as asked for, one line of JSON."""
    status = main(["bench", "fake", "--rounds", "3", "--json"])
    assert (Exit.OK, [1.0, 2.0, 3.0]) == (
        status,
        json.loads(capsys.readouterr().out)["measures"][0]["ours"]["values"],
    )


def test_what_cannot_run_says_why_and_the_others_run(benchmarks, capsys):
    """The status tells that not everything was measured."""
    status = main(["bench", "all"])
    out, err = capsys.readouterr()
    assert (Exit.UNREACHABLE, True, True, True) == (
        status,
        "fake: 假 / fake" in out,
        "There is no database" in err,
        "no_such_module" in err,
    )


def test_the_command_lists_benchmarks(benchmarks, capsys):
    """Without a name; an unknown one is refused with the list."""
    assert (Exit.OK, "fake\nnot-installed\nun-able\n") == (main(["bench"]), capsys.readouterr().out)
    assert (Exit.USAGE, True) == (main(["bench", "nothing"]), "fake" in capsys.readouterr().err)


@pytest.mark.parametrize("name", registry.names())
def test_every_benchmark_can_be_loaded(name):
    """And has a title in both languages."""
    title = registry.load(name).title
    assert "" not in (title.zh, title.en)
