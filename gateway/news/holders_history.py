"""Follows lookup's log of what holders change, in every gateway: a store that was restored from a backup is noticed,
and so is the right one when it is back."""

from collections.abc import Sequence
from contextlib import aclosing
from typing import NamedTuple

from hutong.lookup.v1.holder_service_pb2 import HolderChange, WatchHoldersRequest

from gateway.mesh_identity import MeshIdentity
from gateway.news.sources import FROM_NOW_ON, SILENCE_SECONDS
from gateway.ports import HolderFeed
from services.common.errors import Code, ServiceError
from services.common.instants import Instant, from_timestamp
from services.runtime.resilience.backoff import Backoff
from services.runtime.resilience.watchdog import alive

PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 1.0


class Mark(NamedTuple):
    """A change that was told: its number in the log, and when it was committed. After a restore another change may have
    the number, at another instant."""

    sequence: int
    recorded_at: Instant


class HoldersHistory:
    """Tells `mesh` whether lookup's store still has the last change that this gateway heard of. The cache's news do not
    tell: one gateway takes them for all, and a number alone is soon reached again."""

    def __init__(self, source: HolderFeed, mesh: MeshIdentity) -> None:
        self._source = source
        self._mesh = mesh
        self._mark: Mark | None = None

    async def run(self) -> None:
        """Follows the log, forever."""
        backoff = Backoff(PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
        while True:
            try:
                before = self._before_mark() if self._mark else await self._before_end()
                await self._follow(before, backoff)
            except ServiceError as error:
                # Who reads the log for the cache says why it is away.
                if error.code is Code.FAILED_PRECONDITION:
                    self._mesh.lose_holders()
            await backoff.wait()

    def _before_mark(self) -> int:
        return self._mark.sequence - 1 if self._mark else 0

    async def _before_end(self) -> int:
        """Asks for the position before the log's last change; 0 where there is none yet."""
        request = WatchHoldersRequest(sequence=FROM_NOW_ON)
        async with aclosing(alive(self._source.WatchHolders(request), silence_seconds=SILENCE_SECONDS)) as batches:
            async for batch in batches:
                self._mesh.check_holders(batch.identity)
                return max(batch.sequence - 1, 0)
        return 0

    async def _follow(self, before: int, backoff: Backoff) -> None:
        """Hears changes until one that was told is missing. Raises ServiceError."""
        request = WatchHoldersRequest(sequence=before)
        met = self._mark is None
        async with aclosing(alive(self._source.WatchHolders(request), silence_seconds=SILENCE_SECONDS)) as batches:
            async for batch in batches:
                self._mesh.check_holders(batch.identity)
                if not met and _first(batch.changes) != self._mark:
                    self._mesh.lose_holders()
                    return
                if not met:
                    self._mesh.find_holders()
                    met = True
                backoff.reset()
                if batch.changes:
                    self._mark = _mark(batch.changes[-1])


def _first(changes: Sequence[HolderChange]) -> Mark | None:
    return _mark(changes[0]) if changes else None


def _mark(change: HolderChange) -> Mark:
    return Mark(change.sequence, from_timestamp(change.recorded_at))
