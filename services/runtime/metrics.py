"""The metrics that every process has."""

from prometheus_client import Counter

OVERLOADED = Counter(
    "hutong_overloaded",
    "Calls that were refused because as many were under way as may be, by weight: LIGHT, and HEAVY, refused first.",
    ["weight"],
)
