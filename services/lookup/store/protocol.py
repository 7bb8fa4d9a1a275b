"""What a holder store does, whatever it is made of."""

import logging
from collections.abc import Mapping, Sequence
from typing import Protocol

from services.common.errors import Unavailable
from services.common.instants import Instant
from services.lookup.domain.holders import Command, Decision, HolderEvent, Person

log = logging.getLogger("hutong.lookup.store")


class HolderStore(Protocol):
    """An append-only log of what holders changed, and the links and switches that follow from it.

    Every method raises Unavailable (STORE_UNAVAILABLE) when the store cannot be used; drivers' errors do not pass.
    """

    async def people(self, keys: Sequence[bytes]) -> Mapping[bytes, Person]:
        """The people behind up to some thousand keys, by the key asked for. Only those linked to another document, or
        switched somewhere, are in the answer."""

    async def commit(self, command: Command, now: Instant) -> Decision:
        """Decides and writes one command; when this returns, it is durable. Commands take effect one after another.
        Raises what `decide` raises."""

    async def changes(self, after: int, most: int) -> list[HolderEvent]:
        """Up to `most` entries of the log after a sequence, in order. Entries become visible in order, without gaps."""

    async def last(self) -> int:
        """The sequence of the last entry; 0 when there is none."""

    async def ping(self) -> None:
        """A sign of life."""

    async def close(self) -> None:
        """Lets go of everything. Safe to call twice."""


def unavailable(error: BaseException) -> Unavailable:
    """What a caller sees of a driver's error; the error itself goes to the log."""
    log.warning("the holder store failed", extra={"error": f"{type(error).__name__}: {error}"})
    return Unavailable("STORE_UNAVAILABLE", "关联信息库暂不可用", "The store of links and switches is not available")
