"""What is counted, for Prometheus."""

from enum import StrEnum

from prometheus_client import Counter, Gauge


class Outcome(StrEnum):
    """What the cache had to do with an answer."""

    HIT = "HIT"
    """It was there."""
    MISS = "MISS"
    """It was not, and was computed."""
    BYPASS = "BYPASS"
    """The cache was not asked, down, or without news; computed."""
    STALE = "STALE"
    """It could not be computed; the last known verdict was shown."""
    REFRESH = "REFRESH"
    """The caller asked past the cache; computed."""


REQUESTS = Counter(
    "hutong_gateway_requests", "Requests by transport, method and how they ended.", ["transport", "method", "outcome"]
)
_CODES = Counter("hutong_gateway_codes", "Codes shown, by what the cache had to do with them.", ["cache"])
CODES = {outcome: _CODES.labels(outcome) for outcome in Outcome}
NEWS_AGE = Gauge(
    "hutong_gateway_news_age_seconds", "Age of the news in the cache when it was last read, by feed.", ["feed"]
)
