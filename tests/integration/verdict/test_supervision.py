"""Metrics and traces tell of verdicts, and of no person."""

from prometheus_client import REGISTRY

from services.common.instants import HOUR, Instant
from services.runtime.telemetry.trace import tracing
from tests.testkit.builders.verdict_requests import ANNA, NOW, compute, query, record
from tests.testkit.fakes.lookup import FakeLookup
from tests.testkit.servers.verdict_service import in_process


async def test_recognition_and_refusal_are_counted_for_supervision():
    """By region: that is how it is seen whether the notice is carried out."""

    def counted() -> tuple[float, ...]:
        return tuple(
            REGISTRY.get_sample_value("hutong_verdict_notice_total", {"region": region, "outcome": outcome}) or 0.0
            for region, outcome in (("410000", "REFUSAL"), ("440000", "ENFORCED"))
        )

    lookup = FakeLookup()
    lookup.records[ANNA] = [record("430000", "hn", Instant(NOW - 26 * HOUR), Instant(NOW - 16 * HOUR))]
    before = counted()
    async with in_process(lookup) as verdicts:
        await verdicts.ComputeVerdict(compute(query(region="410000")))
        await verdicts.ComputeVerdict(compute(query(region="440000")))
    assert counted() == (before[0] + 1, before[1] + 1)


async def test_the_span_of_a_verdict_says_region_scope_and_status(traced):
    """And nothing about the person."""
    async with in_process(FakeLookup()) as verdicts:
        await verdicts.ComputeVerdict(compute(query()))
    tracing.flush()
    found = [one.attributes for one in traced.spans if one.span.name.endswith("ComputeVerdict")]
    assert found == [{"region": "110000", "scope": "NATIONAL", "status": "NOT_RECOGNISED"}]
