"""The metrics of limits, of every service."""

from prometheus_client import Counter, Gauge

LIMITED = Counter(
    "hutong_limited",
    "Calls refused because their principal or address asked too much, by the limit's name, such as code-per-address.",
    ["limit"],
)
UNKNOWN_PERSONS = Counter(
    "hutong_unknown_persons",
    "Answers about people of whom nothing is known, by the class of the call. A sudden rise is somebody who tries"
    " numbers.",
    ["class"],
)
DEARER = Counter(
    "hutong_unknown_persons_surcharge",
    "Answers about people of whom nothing is known that cost their asker more than one token, by the kind of asker:"
    " principal or address.",
    ["asker"],
)
LOCAL = Gauge(
    "hutong_limits_local",
    "1 while the limits of this process are its own, because the Redis that replicas share does not answer.",
)
