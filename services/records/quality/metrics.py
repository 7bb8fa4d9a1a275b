"""The laboratories' figures as metrics: of the last few days together, refreshed now and then.

Anybody who may submit can invent laboratories, so only the LABORATORIES with the most records have a series of their
own; all others share the label "other". A laboratory that leaves that circle loses its series.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Mapping

from prometheus_client import Gauge

from services.common.errors import ServiceError
from services.common.instants import calendar_day
from services.records.domain.quality import MEDIAN, P95, Figures, Key, rank, ratio
from services.records.quality.figures import LaboratoryFigures
from services.runtime.clock import Clock

log = logging.getLogger("hutong.records.quality")

DAYS = 3
LABORATORIES = 100
OTHER = "other"

SHARE = 0.05
"""At most this share of the time goes into refreshing."""

_OF = ["store", "laboratory"]
_GAUGES = {
    "records": Gauge("hutong_laboratory_records", f"Records sampled in the last {DAYS} days.", _OF),
    "overdue": Gauge(
        "hutong_laboratory_overdue_samples", f"Samples of the last {DAYS} days whose result is overdue.", _OF
    ),
    "retraction": Gauge(
        "hutong_laboratory_retraction_ratio", f"Retracted records of all records of the last {DAYS} days.", _OF
    ),
    "amendment": Gauge(
        "hutong_laboratory_amendment_ratio", f"Amended records of all records of the last {DAYS} days.", _OF
    ),
    "positive": Gauge(
        "hutong_laboratory_positive_ratio", f"Positive results of all results of the last {DAYS} days.", _OF
    ),
    "discordant": Gauge(
        "hutong_laboratory_discordant_pairs",
        f"Pairs of results of one person and day, of the last {DAYS} days, that contradict each other.",
        _OF,
    ),
}
_TURNAROUND = Gauge(
    "hutong_laboratory_turnaround_seconds",
    f"Report minus sampling, of the last {DAYS} days: its median and its p95.",
    [*_OF, "quantile"],
)


def by_label(figures: Mapping[Key, Figures], most: int = LABORATORIES) -> dict[str, list[Key]]:
    """Returns whose figures are shown under which label: those of the `most` laboratories with the most records under
    their own, all others together under "other"."""
    sizes: Counter[str] = Counter()
    for (laboratory, _), one in figures.items():
        sizes[laboratory] += one.records
    shown = {laboratory for laboratory, _ in sorted(sizes.items(), key=lambda item: (-item[1], item[0]))[:most]}
    grouped: dict[str, list[Key]] = {}
    for key in figures:
        grouped.setdefault(key[0] if key[0] in shown else OTHER, []).append(key)
    return grouped


class QualityMetrics:
    """Refreshes the metrics of one store every so many seconds; more seldom when reading takes long."""

    def __init__(
        self, store: str, laboratory_figures: LaboratoryFigures, *, overdue_hours: int, every: float, clock: Clock
    ) -> None:
        self._store = store
        self._laboratory_figures = laboratory_figures
        self._overdue_hours = overdue_hours
        self._every = every
        self._clock = clock
        self._shown: set[str] = set()

    async def run(self) -> None:
        """Refreshes without end; a store that cannot be asked is asked again next time."""
        took = 0.0
        while True:
            await asyncio.sleep(max(self._every, took / SHARE))
            began = time.monotonic()
            try:
                await self.refresh()
            except ServiceError as error:
                log.warning("laboratories' figures: %s", error, extra={"store": self._store})
            took = time.monotonic() - began

    async def refresh(self) -> None:
        """Shows the figures of the last DAYS days, today included."""
        now = self._clock()
        today = calendar_day(now)
        labels = await self._laboratory_figures.grouped(today - DAYS + 1, today, now, self._overdue_hours, by_label)
        for label, figures in labels.items():
            self._show(label, figures)
        for label in self._shown - labels.keys():
            for gauge in _GAUGES.values():
                gauge.remove(self._store, label)
            self._hide_turnaround(label)
        self._shown = set(labels)

    def _show(self, label: str, figures: Figures) -> None:
        values = {
            "records": figures.records,
            "overdue": figures.overdue,
            "retraction": ratio(figures.retracted, figures.records),
            "amendment": ratio(figures.amended, figures.records),
            "positive": ratio(figures.positive, figures.reported),
            "discordant": figures.discordant.total(),
        }
        for name, value in values.items():
            _GAUGES[name].labels(self._store, label).set(value)
        if not figures.turnarounds:
            # No turnaround is not a turnaround of nothing.
            self._hide_turnaround(label)
            return
        for share in (MEDIAN, P95):
            _TURNAROUND.labels(self._store, label, str(share)).set(rank(figures.turnarounds, share))

    def _hide_turnaround(self, label: str) -> None:
        for share in (MEDIAN, P95):
            try:
                _TURNAROUND.remove(self._store, label, str(share))
            except KeyError:
                continue
