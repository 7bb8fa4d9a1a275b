"""The values that a store of push subscriptions holds. Instants are in microseconds since the epoch."""

from typing import NamedTuple

from services.common.instants import Instant


class Subscription(NamedTuple):
    """A device that is told about one person."""

    subscription_id: bytes
    endpoint_digest: bytes
    person_key: bytes
    endpoint: str
    p256dh: bytes
    auth: bytes
    region: str
    language: int
    created_at: Instant
    renewed_at: Instant
    told_until: Instant
    """The end of the code about which the person was told last; 0 before."""


class Due(NamedTuple):
    """A notice whose time has come, claimed until an instant by whoever asked for it."""

    subscription: Subscription
    kind: int
    attempts: int
    expires_at: Instant
    claimed_until: Instant


class Arrivals(NamedTuple):
    """The people in a piece of the feed, by their keys under every version of the secret: those for whom a result
    arrived, and those of whom anything changed."""

    results: frozenset[bytes]
    changed: frozenset[bytes]
