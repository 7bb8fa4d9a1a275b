"""The metrics of lookup. Per source and batch, never per person."""

from prometheus_client import Counter, Gauge, Histogram

QUESTIONS = Counter(
    "hutong_lookup_source_questions",
    "Batches put to a record store, by what became of them: OK, UNREACHABLE, or KNOWN_DOWN when it was not even tried.",
    ["source", "status"],
)
SECONDS = Histogram(
    "hutong_lookup_source_seconds",
    "How long a record store took to answer a batch, or to fail.",
    ["source"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5),
)
DOWN = Gauge("hutong_lookup_source_down", "1 while a record store is known to be down and only probed.", ["source"])
WRONG_SOURCES = Gauge(
    "hutong_lookup_source_wrong",
    "1 while a record store says it is another than the one that is meant, by reason: WRONG_STORE, OTHER_SECRET or"
    " FEED_CHANGED. What it says is not used.",
    ["source", "reason"],
)
