"""The part of a holder's past that is asked for: as far back as the policies loaded look, the newest few, and what
clears."""

from functools import lru_cache

from hutong.records.v1.record_read_service_pb2 import RecordSelection

from services.common.instants import MINUTE, Instant, to_timestamp
from services.verdict.domain.policy.policy_set import PolicySet
from services.verdict.domain.reasons.shortfall import MOST_SHOWN

_CLEARING = 3
"""So many negatives are asked for as clear a positive, and that for each of them: some are sampled too close together,
or void."""

_EARLIEST = Instant(0)


def selection(policies: PolicySet, region: str, at: Instant) -> RecordSelection | None:
    """Returns what can matter to a verdict of the region at `at`; None, which is everything, for an instant so long ago
    that no selection could name it. The message is shared: nobody may change it. Raises NoPolicyInForce."""
    in_force = policies.in_force(region, at)
    since = in_force.looks_back_to(at)
    if since < _EARLIEST:
        return None
    policy = in_force.policy
    # The questions of a minute ask for the same.
    minute = since // MINUTE
    return _message(minute, _CLEARING * policy.clearance.negatives, region if policy.days.own_records else "")


@lru_cache(maxsize=4096)
def _message(minute: int, clearing: int, own_region: str) -> RecordSelection:
    return RecordSelection(
        since=to_timestamp(Instant(minute * MINUTE)),
        newest=MOST_SHOWN,
        clearing=clearing,
        own_regions=[own_region] if own_region else [],
    )
