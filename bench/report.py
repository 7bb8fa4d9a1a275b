"""The report of a benchmark: figures of several rounds, their medians and spread, and ours beside the yardstick."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median, quantiles
from typing import Any

from services.common.errors import Text


@dataclass(frozen=True, slots=True)
class Series:
    """One figure, measured once a round. Raises ValueError when there is none."""

    title: Text
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.values:
            raise ValueError("a series has at least one value")

    @property
    def median(self) -> float:
        """The value in the middle."""
        return median(self.values)

    @property
    def spread(self) -> float:
        """The distance between the quartiles as a share of the median; 0 for one round."""
        if len(self.values) < 2 or not self.median:
            return 0.0
        low, _, high = quantiles(self.values, n=4, method="inclusive")
        return (high - low) / abs(self.median)


@dataclass(frozen=True, slots=True)
class Measure:
    """One thing measured, in `unit`, beside its yardstick where it has one.

    `bound` is what ours should reach, in `unit`; `ratio_bound` what ours divided by the yardstick should. Both are a
    floor where `higher_is_better`, else a ceiling.
    """

    unit: str
    ours: Series
    yardstick: Series | None = None
    higher_is_better: bool = False
    bound: float | None = None
    ratio_bound: float | None = None

    @property
    def ratio(self) -> float | None:
        """Ours divided by the yardstick: the median over the rounds, each compared with its neighbour in time."""
        if self.yardstick is None:
            return None
        pairs = zip(self.ours.values, self.yardstick.values, strict=True)
        return median(ours / yardstick for ours, yardstick in pairs)

    @property
    def met(self) -> bool | None:
        """Tells if every bound is kept; None where there is none."""
        checks = [
            value >= bound if self.higher_is_better else value <= bound
            for value, bound in ((self.ours.median, self.bound), (self.ratio, self.ratio_bound))
            if value is not None and bound is not None
        ]
        return all(checks) if checks else None


@dataclass(frozen=True, slots=True)
class Report:
    """All that one benchmark measured. `notes` say how, for who wants to know what the figures include; `figures` are
    what a page is made of, in the JSON alone."""

    measures: tuple[Measure, ...]
    notes: tuple[Text, ...] = ()
    figures: Mapping[str, Any] = field(default_factory=dict)


def _series(series: Series) -> dict[str, Any]:
    return {
        "title": {"zh": series.title.zh, "en": series.title.en},
        "median": series.median,
        "spread": series.spread,
        "values": list(series.values),
    }


def as_json(name: str, title: Text, machine: str, report: Report) -> dict[str, Any]:
    """A report as a JSON object."""
    return {
        "benchmark": name,
        "title": {"zh": title.zh, "en": title.en},
        "machine": machine,
        "rounds": max(len(measure.ours.values) for measure in report.measures),
        "measures": [
            {
                "unit": measure.unit,
                "higher_is_better": measure.higher_is_better,
                "ours": _series(measure.ours),
                "yardstick": None if measure.yardstick is None else _series(measure.yardstick),
                "ratio": measure.ratio,
                "bound": measure.bound,
                "ratio_bound": measure.ratio_bound,
                "met": measure.met,
            }
            for measure in report.measures
        ],
        "notes": [{"zh": note.zh, "en": note.en} for note in report.notes],
        **({"figures": report.figures} if report.figures else {}),
    }


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _line(series: Series, unit: str) -> str:
    low, high = min(series.values), max(series.values)
    return (
        f"  {series.title}\n    {_number(series.median)} {unit}"
        f"  ({_number(low)} … {_number(high)}, ±{series.spread / 2:.0%})"
    )


def _verdict(measure: Measure) -> str:
    sign = "≥" if measure.higher_is_better else "≤"
    word = "达到 met" if measure.met else "未达到 not met"
    bounds = [] if measure.bound is None else [f"{sign} {_number(measure.bound)} {measure.unit}"]
    bounds += [] if measure.ratio_bound is None else [f"{sign} {measure.ratio_bound:g}×"]
    return f"  目标 target {', '.join(bounds)}: {word}"


def as_text(name: str, title: Text, machine: str, report: Report) -> str:
    """A report for people: medians, the least and the greatest value, half the distance of the quartiles."""
    lines = [f"{name}: {title}", f"  {machine}"]
    for measure in report.measures:
        if measure.yardstick is not None:
            lines.append(_line(measure.yardstick, measure.unit))
        lines.append(_line(measure.ours, measure.unit))
        if measure.ratio is not None:
            lines.append(f"  比值 ratio {measure.ratio:.2f}×")
        if measure.met is not None:
            lines.append(_verdict(measure))
    return "\n".join(lines + [f"  · {note}" for note in report.notes])
