"""Makes docs/capacity.md of a benchmark's figures: the matrix, and the arithmetic from it to a nation."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

UTILISATION = 0.6
"""The share of a core that is meant to be used, so that a node may be lost and a minute may be busier than its hour."""
PEOPLE = 1_400_000_000
CODES_A_DAY = 3
"""Codes that one person shows: an assumption."""
PEAK = 4
"""How much more is asked in the busiest hour than in the mean one: an assumption."""
TESTS_EVERY_DAYS = 3
"""How often one person is tested: an assumption, three days, one test."""
KEPT_DAYS = 30
"""How long rows are kept: an assumption."""
RATES = (23_000, PEOPLE * CODES_A_DAY / 86_400 * PEAK)
"""Codes a second: of a large province's busiest hour, and of the nation's."""
SHARES = (0.5, 0.9, 0.99)
SERVICES = ("gateway", "verdict", "lookup", "110000", "nation", "postgresql", "redis")
GROUPS = (("gateway",), ("verdict",), ("lookup",), ("110000", "nation"), ("postgresql",), ("redis",))
GIGABYTE, TERABYTE = 10**9, 10**12

TEMPLATE = Path(__file__).with_name("page.md")

Cell = Mapping[str, Any]
Costs = Mapping[str, float]


def medians(rounds: Sequence[Cell]) -> Cell:
    """Returns one cell of several rounds: the median of each figure."""
    return {
        **rounds[0],
        "processor": {name: median(one["processor"][name] for one in rounds) for name in rounds[0]["processor"]},
        **{name: median(one[name] for one in rounds) for name in ("achieved", "p50", "p95")},
    }


def hit_and_miss(cells: Sequence[Cell]) -> tuple[Costs, Costs]:
    """Returns the microseconds, by service, of a hit and of a miss, from the cells of the most rows at the highest
    rate: a miss is what a code costs with no hits, a hit what is left of it with the most."""
    place = max((cell["rows"], cell["rate"]) for cell in cells)
    of_place = sorted(
        (cell for cell in cells if (cell["rows"], cell["rate"]) == place), key=lambda one: int(one["hits"])
    )
    miss, most = of_place[0]["processor"], of_place[-1]["processor"]
    share = of_place[-1]["hits"] / 100
    hit = {name: max(0.0, (most[name] - (1 - share) * miss[name]) / share) for name in SERVICES}
    return hit, {name: float(miss[name]) for name in SERVICES}


def cores(rate: float, micros: float) -> float:
    """Returns how many cores a rate takes at so many microseconds each, at the utilisation that is meant."""
    return rate * micros / 1e6 / UTILISATION


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join((f"| {' | '.join(head)} |", "|" + "---|" * len(head), *(f"| {' | '.join(row)} |" for row in rows)))


def _total(cell: Cell) -> float:
    return float(sum(cell["processor"][name] for name in SERVICES))


def _matrix(cells: Sequence[Cell]) -> str:
    head = ("Rows", "Codes/s", "Hits", "p50, ms", "p95, ms", "Gateway", "Verdict", "Lookup", "Region", "Nation")
    rows = [
        [
            f"{cell['rows']:,}",
            f"{cell['rate']:,}" + ("" if cell["achieved"] > 0.9 * cell["rate"] else f" ({cell['achieved']:,.0f})"),
            f"{cell['hits']} %",
            f"{cell['p50']:,.1f}",
            f"{cell['p95']:,.1f}",
            *(f"{cell['processor'][name]:,.0f}" for name in SERVICES),
            f"**{_total(cell):,.0f}**",
            f"{1e6 / _total(cell):,.0f}",
        ]
        for cell in cells
    ]
    return _table((*head, "PostgreSQL", "Redis", "**All, µs a code**", "Codes/s a core"), rows)


def _nation(hit: Costs, miss: Costs) -> str:
    head = ("Codes/s", "Hits", "µs a code", "Cores in all", "Gateways", "Verdict", "Lookup", "Records", "PostgreSQL")
    rows = []
    for rate in RATES:
        for share in SHARES:
            costs = {name: share * hit[name] + (1 - share) * miss[name] for name in SERVICES}
            parts = [cores(rate, sum(costs[name] for name in group)) for group in GROUPS]
            whole = [f"{math.ceil(part):,}" for part in parts]
            total = f"**{math.ceil(sum(parts)):,}**"
            rows.append([f"{rate:,.0f}", f"{share:.0%}", f"{sum(costs.values()):,.0f}", total, *whole])
    return _table((*head, "Redis"), rows)


def page(report: Mapping[str, Any]) -> str:
    """Returns the page of a benchmark's JSON."""
    cells = [medians(rounds) for rounds in report["figures"]["cells"]]
    mesh = max(report["figures"]["meshes"], key=lambda one: int(one["rows"]))
    hit, miss = hit_and_miss(cells)
    rows_a_second = PEOPLE / TESTS_EVERY_DAYS / 86_400
    intake, row_bytes = sum(mesh["intake"].values()), sum(mesh["row_bytes"].values())
    database = PEOPLE / TESTS_EVERY_DAYS * KEPT_DAYS * row_bytes
    one_redis = 1e6 / max(hit["redis"], 0.1) * UTILISATION
    return TEMPLATE.read_text(encoding="utf-8").format(
        machine=report["machine"],
        rounds=report["rounds"],
        matrix=_matrix(cells),
        rows=f"{mesh['rows']:,}",
        hit=f"{sum(hit.values()):,.0f}",
        miss=f"{sum(miss.values()):,.0f}",
        utilisation=f"{UTILISATION:.0%}",
        utilisation_number=f"{UTILISATION:g}",
        people=f"{PEOPLE:,}",
        codes_a_day=CODES_A_DAY,
        peak=PEAK,
        nation_rate=f"{RATES[-1]:,.0f}",
        tests_every=TESTS_EVERY_DAYS,
        rows_a_day=f"{PEOPLE / TESTS_EVERY_DAYS / 1e6:,.0f}",
        rows_a_second=f"{rows_a_second:,.0f}",
        nation=_nation(hit, miss),
        code_bytes=f"{mesh['code_bytes']:,.0f}",
        redis_memory=f"{PEOPLE * mesh['code_bytes'] / GIGABYTE:,.0f}",
        redis_hit=f"{hit['redis']:.1f}",
        one_redis=f"{one_redis:,.0f}",
        redis_count=math.ceil(RATES[-1] / one_redis),
        intake=f"{intake:,.0f}",
        intake_cores=f"{math.ceil(cores(rows_a_second, intake)):,}",
        intake_peak_cores=f"{math.ceil(cores(rows_a_second * PEAK, intake)):,}",
        row_bytes=f"{row_bytes:,.0f}",
        kept_days=KEPT_DAYS,
        database=f"{database / TERABYTE:,.1f}",
        nation_database=f"{database / TERABYTE * mesh['row_bytes']['nation'] / row_bytes:,.1f}",
        idle=f"{sum(mesh['idle'].values()):.2f}",
    )
