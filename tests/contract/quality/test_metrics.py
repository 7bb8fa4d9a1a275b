"""Laboratories' figures as metrics."""

from datetime import date, timedelta
from functools import partial

from hutong.records.v1.record_pb2 import TestResult
from prometheus_client import REGISTRY

from services.records.quality.metrics import OTHER, QualityMetrics, by_label
from tests.testkit.builders.laboratory_quality import quality_of
from tests.testkit.builders.records import fresh_id, person, result, sampling, submission
from tests.testkit.servers.records_service import Records


def sample(name: str, laboratory: str, **labels: str) -> float | None:
    """A metric of the store "metrics"."""
    return REGISTRY.get_sample_value(
        f"hutong_laboratory_{name}", {"store": "metrics", "laboratory": laboratory, **labels}
    )


async def test_figures_as_metrics(records: Records) -> None:
    """Of the last three days together; a laboratory that has no more records has no more series."""
    await records.submit("M1", person(1), result(-26.0, -24.0, TestResult.TEST_RESULT_POSITIVE, laboratory="m"))
    await records.submit("M2", person(2), result(-6.0, -2.0, laboratory="m"))
    await records.submit("M3", person(3), sampling(-30.0, laboratory="m"))
    metrics = QualityMetrics("metrics", quality_of(records), overdue_hours=24, every=1.0, clock=records.clock)
    await metrics.refresh()
    assert (3, 1, 0.5) == (sample("records", "m"), sample("overdue_samples", "m"), sample("positive_ratio", "m"))
    assert (7200, 14400) == tuple(sample("turnaround_seconds", "m", quantile=q) for q in ("0.5", "0.95"))
    records.clock.forward(5 * 24 * 3600)
    await metrics.refresh()
    assert (None, None) == (sample("records", "m"), sample("turnaround_seconds", "m", quantile="0.5"))


async def test_metrics_have_a_bounded_number_of_series(records: Records) -> None:
    """Whoever invents laboratories ends up among the others, together."""
    await records.submit_many([submission(fresh_id(), person(n), result(laboratory=f"lab-{n % 7}")) for n in range(24)])
    today = (date(2022, 8, 5) - date(1970, 1, 1)) // timedelta(days=1)
    shown = await quality_of(records).grouped(today, today, records.clock.now, 24, partial(by_label, most=2))
    assert {"lab-0": 4, "lab-1": 4, OTHER: 16} == {label: figures.records for label, figures in shown.items()}
