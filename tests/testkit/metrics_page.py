"""docs/metrics.md, made from the metrics themselves: `python -m tests.testkit.metrics_page > docs/metrics.md`."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from prometheus_client import Histogram
from prometheus_client.metrics import MetricWrapperBase

import gateway.metrics
import services.lookup.metrics
import services.records.metrics
import services.records.quality.metrics
import services.runtime.limits.metrics
import services.runtime.metrics
import services.runtime.telemetry.repetition
import services.verdict.metrics
from services.runtime.telemetry.tally import Durations, Metered

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"

MODULES: dict[str, tuple[ModuleType, ...]] = {
    "Every process": (
        services.runtime.metrics,
        services.runtime.limits.metrics,
        services.runtime.telemetry.repetition,
    ),
    "Records": (services.records.metrics, services.records.quality.metrics),
    "Lookup": (services.lookup.metrics,),
    "Verdict": (services.verdict.metrics,),
    "Gateway": (gateway.metrics,),
}

HEAD = """\
# Metrics

Each process serves what it counts to Prometheus, over HTTP, at `/metrics` of `HUTONG_OPERATIONS_LISTEN`, from a thread
of its own. No metric names a person. Counters are of this process since it started: look at their rate. This page is
made from the code, by `python -m tests.testkit.metrics_page > docs/metrics.md`; a test says when it is not up to date.

## Woken up?

From the holder's code inwards. What to do about it on Kubernetes: [k8s/README.md](../k8s/README.md).

| Look at | When | It means |
|---|---|---|
"""

LOOK_AT = (
    (
        "`hutong_calls_total`, `hutong_call_seconds`",
        "an objective burns",
        "rate, errors and durations of every service by method and principal: the innermost one that fails is where it "
        "began; `k8s/components/monitoring` has objectives, alerts and dashboards",
    ),
    (
        "`hutong_gateway_codes_total`",
        '`cache="STALE"` grows',
        "codes cannot be computed, and the last known ones are shown: lookup or verdict is down",
    ),
    (
        "`hutong_gateway_requests_total`",
        "`outcome` other than `OK` grows",
        "what callers are told: `UNAVAILABLE` and `DEADLINE_EXCEEDED` are ours, `INVALID_ARGUMENT` is theirs",
    ),
    (
        "`hutong_gateway_news_age_seconds`",
        "above 5 (`HUTONG_NEWS_SECONDS`)",
        "the feed does not come, so that nothing is served from the cache and every code costs a computation",
    ),
    (
        "`hutong_lookup_source_down`",
        "1",
        "that store does not answer; the others are asked, and verdicts it could have helped are `UNDETERMINED`",
    ),
    ("`hutong_lookup_source_seconds`", "its upper quantiles grow", "that store is slow, before it is down"),
    (
        "`hutong_verdict_policies_stale`",
        "1",
        "the policy files cannot be used; the log says why, and the last good set judges on",
    ),
    (
        "`hutong_records_follower_lag_seconds`",
        "above 2",
        "the nation is behind that region, says so, and lookup asks the region itself",
    ),
    (
        "`hutong_records_stores_refused_total`",
        "it grows",
        "somebody answers in a region's place who was not meant, and nothing is taken: an address, a secret or a file "
        "is wrong; `hutong records reconcile`, [restoring a region](runbook/restoring-a-region.md)",
    ),
    (
        "`hutong_records_given_back_total`",
        "it grows",
        "this store was restored and is given back what it lost: look for conflicts that somebody has to settle",
    ),
    (
        "`hutong_records_commit_seconds`",
        "its upper quantiles grow",
        "writers wait: disk, locks, a purge, or an intake in a surge",
    ),
    (
        "`hutong_records_copies_refused_total`",
        "they grow",
        "two stores contradict each other and somebody has to look: `hutong records conflicts`",
    ),
    (
        "`hutong_records_counted_sequence`",
        "far below `hutong_records_feed_sequence`",
        "laboratories' figures are of a while ago",
    ),
    (
        "`hutong_unknown_persons_surcharge_total`",
        "it grows",
        "somebody asks for numbers that nobody has: find the principal or the address in the log, and lower its limits",
    ),
    (
        "`hutong_limited_total`",
        "it grows",
        "a caller asks more than it may, or honest ones stand behind one address: `HUTONG_LIMITS`, "
        "`HUTONG_TRUSTED_PROXIES`",
    ),
    (
        "`hutong_overloaded_total`",
        "it grows",
        "more comes at once than may be under way, and some is refused, heavy calls first: more replicas, or "
        "`HUTONG_CONCURRENCY`",
    ),
    (
        "`hutong_gateway_left_out_total`",
        "it grows",
        "so much comes that pictures and pages to print are left out of answers; codes are whole",
    ),
    ("`hutong_limits_local`", "1", "Redis does not answer: each replica limits by itself"),
    ("`hutong_laboratory_overdue_samples`", "it grows", "somebody calls the laboratory: `hutong laboratory overdue`"),
)
"""What to look at, when, and what it means."""


def _metrics(modules: tuple[ModuleType, ...]) -> Iterator[MetricWrapperBase | Metered]:
    for module in modules:
        for value in vars(module).values():
            for one in value.values() if isinstance(value, dict) else (value,):
                # What is kept with its labels set belongs to a metric that is here as well.
                if isinstance(one, Metered) or (isinstance(one, MetricWrapperBase) and not one._labelvalues):
                    yield one


def rows(modules: tuple[ModuleType, ...]) -> Iterator[tuple[str, str, str, str]]:
    """Yields each metric's name as Prometheus sees it, its kind, its labels and what it means."""
    for one in _metrics(modules):
        (family,) = one.collect() if isinstance(one, Metered) else one.describe()
        labels = one.label_names if isinstance(one, Metered) else one._labelnames
        name = family.name + ("_total" if family.type == "counter" else "")
        kind = "histogram, seconds" if isinstance(one, Histogram | Durations) else family.type
        yield name, kind, ", ".join(f"`{label}`" for label in labels) or "none", family.documentation


def page() -> str:
    """The whole page."""
    parts = [HEAD + "".join(f"| {what} | {when} | {meaning} |\n" for what, when, meaning in LOOK_AT)]
    for title, modules in MODULES.items():
        parts.append(f"## {title}\n\n| Metric | Kind | Labels | What it is |\n|---|---|---|---|")
        parts += [f"| `{name}` | {kind} | {labels} | {meaning} |" for name, kind, labels, meaning in rows(modules)]
        parts.append("")
    return "\n".join(parts)


if __name__ == "__main__":
    sys.stdout.write(page())
