"""The protocol of a store of push subscriptions, whatever it is made of."""

import logging
from collections.abc import Callable, Collection, Sequence
from typing import Protocol

from gateway.push.store.values import Arrivals, Due, Subscription
from services.common.errors import Unavailable
from services.common.instants import Instant

log = logging.getLogger("hutong.push.store")

MOST_DEVICES = 10
"""So many devices are told about one person; another takes the place of the one that was renewed least lately."""


class PushStore(Protocol):
    """Subscriptions, and the notices that are to be sent to them. Several gateways may share one.

    Every method raises Unavailable (STORE_UNAVAILABLE) when the store cannot be used; drivers' errors do not pass.
    """

    async def put(self, subscription: Subscription, persons: Collection[bytes], ending: int) -> bool:
        """Keeps a subscription in the place of one of the same device about the same person, whose keys under every
        version are `persons`, and has the person's code looked at (the kind `ending`). Returns True where there was
        none; one that was there keeps its id, and what was told."""

    async def delete(self, endpoint_digest: bytes, persons: Collection[bytes]) -> bool:
        """Forgets the subscription of a device about a person, and what it was to be told; tells if there was one."""

    async def drop(self, endpoint_digest: bytes) -> None:
        """Forgets all subscriptions of a device."""

    async def cursor(self, feed: str) -> str:
        """Returns the cursor up to which a feed was taken in; empty for none."""

    async def take(
        self,
        feed: str,
        before: str,
        after: str,
        arrivals: Arrivals,
        kinds: tuple[int, int],
        now: Instant,
        ends: Instant,
    ) -> bool:
        """Moves the cursor of a feed on, and notes in the same transaction what is to be told: the kinds of a result,
        until `ends`, and of the look at a code. Returns False, with nothing done, where the cursor is not `before`."""

    async def claim(self, now: Instant, until: Instant, most: int) -> Sequence[Due]:
        """Returns at most so many notices whose time has come, and keeps them from everybody else until an instant."""

    async def finish(self, due: Due, told_until: Instant | None = None) -> None:
        """Takes a claimed notice away, unless there is news for it; `told_until` is noted of its subscription."""

    async def postpone(self, due: Due, at: Instant, attempts: int) -> None:
        """Lets a claimed notice wait until an instant, unless there is news for it."""

    async def move_keys(self, after: bytes, most: int, new: Callable[[bytes], bytes]) -> bytes:
        """Puts new person keys in the place of the old ones in at most so many subscriptions, by id, of those after an
        id, in one transaction. Returns the last id; nothing when there are none after it."""

    async def purge(self, renewed_before: Instant) -> None:
        """Forgets the subscriptions that were renewed last before an instant."""

    async def close(self) -> None:
        """Lets go of everything. Safe to call twice."""


def unavailable(error: Exception) -> Unavailable:
    """Returns what a caller sees of a driver's error; the error itself goes to the log."""
    log.warning("the store of push subscriptions failed", extra={"error": f"{type(error).__name__}: {error}"})
    return Unavailable("STORE_UNAVAILABLE", "提醒订阅库暂不可用", "The store of push subscriptions is not available")
