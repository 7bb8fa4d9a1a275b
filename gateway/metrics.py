"""The metrics of the gateway."""

from enum import StrEnum

from prometheus_client import Gauge

from services.runtime.telemetry.tally import Tally


class Outcome(StrEnum):
    """The ways in which the cache had to do with an answer."""

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


REQUESTS = Tally(
    "hutong_gateway_requests",
    "Requests by transport, method and how they ended: OK, or why not, as callers are told.",
    ["transport", "method", "outcome"],
)
CODES = Tally(
    "hutong_gateway_codes", "Codes shown, by what the cache had to do with them: " + ", ".join(Outcome) + ".", ["cache"]
)
LEFT_OUT = Tally(
    "hutong_gateway_left_out",
    "Parts that were left out of answers because there was too much to do: QR_SVG, QR_PNG, PDF.",
    ["part"],
)
CACHE_BYTES = Gauge(
    "hutong_gateway_cache_bytes", "What the cache takes; of a Redis, what all of it takes. NaN while it is down."
)
CACHE_EVICTED = Gauge(
    "hutong_gateway_cache_evicted",
    "Entries, or keys of Redis, evicted for want of room since the cache was started. NaN while it is down.",
)
JUDGES_DIFFER = Tally(
    "hutong_gateway_judges_differ",
    "Answers that show that verdict replicas do not judge alike, by what they differ in: POLICIES, SOFTWARE, CLOCK.",
    ["what"],
)
ANSWERS_REFUSED = Tally(
    "hutong_gateway_answers_refused",
    "Answers that were not used, by the service that gave them: WRONG_STORE, OTHER_SECRET or FEED_CHANGED, of another "
    "mesh; CLOCK_OFF; POLICIES_WENT_BACK.",
    ["service", "reason"],
)
DIRECTORY_DIFFERS = Gauge(
    "hutong_gateway_directory_differs",
    "1 while a service goes by another list of members than this gateway: nation or lookup.",
    ["service"],
)
SUPERVISION_LOST = Tally(
    "hutong_gateway_supervision_lost",
    "What supervision did not get, because its store could not be written for long: MARK, of a figure, or REFUSAL.",
    ["what"],
)
PUSHES = Tally(
    "hutong_gateway_pushes",
    "Messages to people's devices, by what they say (RESULT, ENDING) and how sending ended: SENT; GONE, the device is "
    "forgotten; LATER, it is tried again; REFUSED by the push service; EXPIRED before it could be sent.",
    ["kind", "outcome"],
)
FEEDS_BEGUN = Tally(
    "hutong_gateway_feeds_begun",
    "How often a feed was followed anew, because its store went back or was made anew, or the cache was empty.",
    ["feed"],
)
NEWS_AGE = Gauge(
    "hutong_gateway_news_age_seconds",
    "Age of the news in the cache when it was last read, by feed; NaN while it is not known.",
    ["feed"],
)
