"""The metrics of a records service. `store` is the region that keeps the records, or "nation"."""

from prometheus_client import Counter, Gauge, Histogram

SUBMITTED = Counter(
    "hutong_records_submitted",
    "Records submitted, by outcome: CREATED, UNCHANGED, RESULT_ADDED, ALREADY_RETRACTED, CONFLICT or REFUSED.",
    ["store", "outcome"],
)
INTAKE_SESSIONS = Gauge("hutong_records_intake_sessions", "Streams of intake that are open.", ["store"])
COMMIT_SECONDS = Histogram("hutong_records_commit_seconds", "Time a write transaction took.", ["store"])
FEED_SEQUENCE = Gauge("hutong_records_feed_sequence", "The end of the change feed as last seen.", ["store"])
FOLLOWER_LAG = Gauge(
    "hutong_records_follower_lag_seconds",
    "Age of the instant up to which a region has been followed; +Inf while that is not known.",
    ["store", "region"],
)
FOLLOWED = Counter("hutong_records_followed_changes", "Changes taken from a region's feed.", ["store", "region"])
RESTATED_COPIES = Counter(
    "hutong_records_restated_copies",
    "Changes of a restored region that follow, under another number, what it no longer has.",
    ["store", "region"],
)
MOVED_COPIES = Counter(
    "hutong_records_moved_copies", "Ids that a region has given to another person than before.", ["store", "region"]
)
COPIES_FOLLOWED = Counter(
    "hutong_records_copies_followed", "Copies that were amended or retracted after their origin.", ["store", "region"]
)
BY_FOLLOWER, BY_REGION = "follower", "region"
COPIES_REFUSED = Counter(
    "hutong_records_copies_refused",
    "Copies that were not made, because a region's change contradicts what is stored (refused_by: follower), or that "
    "their region would not let follow their origin (region).",
    ["store", "region", "refused_by", "reason"],
)
STORES_REFUSED = Counter(
    "hutong_records_stores_refused",
    "Answers in a followed region's place of which nothing was taken, because they came from another store than was "
    "meant: WRONG_STORE, OTHER_SECRET or FEED_CHANGED.",
    ["store", "region", "reason"],
)
GIVEN_BACK = Counter(
    "hutong_records_given_back",
    "Revisions that this store had lost and was given back by who followed it.",
    ["store"],
)
COUNTED = Gauge(
    "hutong_records_counted_sequence",
    "Up to where the change feed is counted for the laboratories' figures.",
    ["store"],
)
