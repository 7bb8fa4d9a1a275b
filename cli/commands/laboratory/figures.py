"""Laboratories' figures as tables for people and as lines of JSON for programs."""

import json
from collections.abc import Iterable
from typing import Any

from hutong.records.v1.laboratory_quality_service_pb2 import LaboratoryQuality, OverdueSample

from services.common.instants import format_rfc3339, from_timestamp, to_datetime
from services.common.regions import divisions

Row = tuple[str, ...]

_WIDEST = 1_000

QUALITY_HEADER = (
    ("机构", "laboratory"),
    ("采样日", "day"),
    ("样本", "records"),
    ("结果", "reported"),
    ("待出", "waiting"),
    ("逾期", "overdue"),
    ("时效中位", "median"),
    ("时效95%", "p95"),
    ("阳性", "positive"),
    ("修订", "amended"),
    ("撤回", "retracted"),
    ("矛盾", "discordant"),
)
OVERDUE_HEADER = (
    ("机构", "laboratory"),
    ("地区", "region"),
    ("样本编号", "source id"),
    ("采样时间", "sampled (UTC+8)"),
    ("逾期小时", "hours overdue"),
)


def duration(seconds: int) -> str:
    """Hours and minutes: 26:05."""
    hours, rest = divmod(seconds, 3600)
    return f"{hours}:{rest // 60:02d}"


def _rate(rate: float) -> str:
    return f"{rate:.2%}" if rate else "0"


def quality_row(quality: LaboratoryQuality) -> Row:
    """A laboratory's day; a turnaround that nobody knows is a dash."""
    timed = quality.timed > 0
    return (
        quality.laboratory,
        quality.day,
        str(quality.records),
        str(quality.reported),
        str(quality.waiting),
        str(quality.overdue),
        duration(quality.turnaround_median_seconds) if timed else "-",
        duration(quality.turnaround_p95_seconds) if timed else "-",
        _rate(quality.positive_rate),
        _rate(quality.amendment_rate),
        _rate(quality.retraction_rate),
        str(quality.discordant_pairs),
    )


def overdue_row(sample: OverdueSample) -> Row:
    """An overdue sample."""
    division = divisions().get(sample.region)
    return (
        sample.laboratory,
        f"{division.name.zh} {sample.region}" if division else sample.region,
        sample.source_id,
        f"{to_datetime(from_timestamp(sample.sampled_at)):%Y-%m-%d %H:%M}",
        f"{sample.overdue_by_hours:.1f}",
    )


def quality_json(quality: LaboratoryQuality) -> dict[str, Any]:
    """A laboratory's day under the names of the contract; what is not known is null."""
    timed = quality.timed > 0
    counts = ("records", "retracted", "amended", "reported", "positive", "waiting", "overdue", "timed")
    rates = ("retraction_rate", "amendment_rate", "positive_rate")
    return {
        "laboratory": quality.laboratory,
        "day": quality.day,
        **{name: getattr(quality, name) for name in counts},
        "turnaround_median_seconds": quality.turnaround_median_seconds if timed else None,
        "turnaround_p95_seconds": quality.turnaround_p95_seconds if timed else None,
        **{name: getattr(quality, name) for name in rates},
        "discordant_pairs": quality.discordant_pairs,
        "discordant_with": {other.laboratory: other.pairs for other in quality.discordant_with},
    }


def overdue_json(sample: OverdueSample) -> dict[str, Any]:
    """An overdue sample under the names of the contract."""
    return {
        "region": sample.region,
        "source_id": sample.source_id,
        "laboratory": sample.laboratory,
        "sampled_at": format_rfc3339(from_timestamp(sample.sampled_at)),
        "overdue_by_hours": sample.overdue_by_hours,
    }


def print_json(objects: Iterable[dict[str, Any]]) -> None:
    """One object on each line."""
    for item in objects:
        print(json.dumps(item, ensure_ascii=False))


def print_table(title: str, header: tuple[tuple[str, str], ...], rows: Iterable[Row], words: int) -> None:
    """A table, as wide as it needs to be; the first `words` columns are words, the others numbers."""
    from rich.console import Console
    from rich.table import Table

    print(title)
    table = Table()
    for place, (zh, en) in enumerate(header):
        table.add_column(f"{zh}\n{en}", justify="left" if place < words else "right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    # A terminal cuts what it has no room for, rather than the program: a number cut short would be another number.
    console = Console(width=_WIDEST, markup=False, highlight=False, emoji=False, soft_wrap=True)
    console.print(table)
