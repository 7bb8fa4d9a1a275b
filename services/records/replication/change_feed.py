"""The change feed of a store: what changed after a cursor, once or as it comes."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass

from services.common.errors import FailedPrecondition
from services.common.instants import Instant
from services.records.metrics import FEED_SEQUENCE
from services.records.replication.commit_signal import CommitSignal
from services.records.store.protocols.feed_log import FeedLog
from services.records.store.values.feed import ChangeRow, Head
from services.runtime.clock import Clock

LIFE_SECONDS = 1.0
"""A watcher hears something at least this often."""

DEFAULT_CHANGES = 500
MOST_CHANGES = 5_000

FROM_NOW_ON = -1
"""The cursor of a reader that has no use for the past, with no feed id."""


def unbroken(rows: Iterable[ChangeRow], after: int) -> tuple[list[ChangeRow], int]:
    """Returns the changes up to the first number that is missing, and the number up to which none is.

    What is missing was given out before what is above it, and must not be skipped. Only what is known to be purged is
    passed over.
    """
    changes: list[ChangeRow] = []
    here = after
    for row in rows:
        if (row.purged_from or row.sequence) > here + 1:
            break
        here = row.sequence
        if not row.purged_from:
            changes.append(row)
    return changes, here


@dataclass(frozen=True, slots=True)
class Batch:
    """Some changes in order, the cursor after them and, when that is the end, up to when the reader has everything."""

    changes: tuple[ChangeRow, ...]
    head: Head
    as_of: Instant | None


class ChangeFeed:
    """Reads one store's changes in order, up to a cursor or without end."""

    def __init__(self, name: str, store: FeedLog, signal: CommitSignal, complete_until: Clock) -> None:
        """`complete_until` tells up to when the store has everything: now, or less where it follows others."""
        self._store = store
        self._signal = signal
        self._complete_until = complete_until
        self._gauge = FEED_SEQUENCE.labels(name)

    async def read(self, feed_id: str, after: int, most: int = DEFAULT_CHANGES, mark: bytes = b"") -> Batch:
        """Returns at most `most` changes after a cursor.

        Raises FailedPrecondition (FEED_REBUILT) when the cursor is of another history, of a commit that is not the one
        with that number here, or beyond the end. Stops before a number that is missing: whatever it is, it was given
        out before those above it and must not be skipped. Only what is known to be purged is passed over.
        """
        # Taken first: what the store has up to then is in the feed that is read afterwards.
        as_of = self._complete_until()
        head = await self._store.head()
        self._gauge.set(head.sequence)
        if after == FROM_NOW_ON and not feed_id:
            return Batch((), head, as_of)
        if (feed_id or after) and (feed_id != head.feed_id or not 0 <= after <= head.sequence):
            raise _rebuilt()
        if mark and (await self._mark(head, after) or mark) != mark:
            # The number is of another commit: this store was restored, and has gone on since.
            raise _rebuilt()
        if after == head.sequence:
            return Batch((), head, as_of)
        changes, here = unbroken(await self._store.changes(after, most), after)
        # The head was read first, so what it counts was there; more may have come since.
        return Batch(
            tuple(changes),
            Head(head.feed_id, here, await self._mark(head, here)),
            as_of if here >= head.sequence else None,
        )

    async def _mark(self, head: Head, sequence: int) -> bytes:
        return head.mark if sequence == head.sequence else await self._store.mark(sequence)

    async def watch(self, feed_id: str, after: int, mark: bytes = b"") -> AsyncIterator[Batch]:
        """Yields batches without end: one at once, then changes as they come, and an empty one each second without any.

        Raises as `read` does.
        """
        silent_since = float("-inf")
        while True:
            next_commit = self._signal.next_commit()
            batch = await self.read(feed_id, after, mark=mark)
            quiet = time.monotonic() - silent_since
            ahead = batch.head.sequence > after
            if ahead or quiet >= LIFE_SECONDS:
                yield batch
                feed_id, after, mark = batch.head
                silent_since, quiet = time.monotonic(), 0.0
            if batch.as_of is not None:
                await _within(next_commit, min(self._store.poll_seconds, LIFE_SECONDS - quiet + 0.001))
            elif not ahead:
                await asyncio.sleep(self._store.poll_seconds)


async def _within(event: asyncio.Event, seconds: float) -> None:
    # Not wait_for: in Python 3.11 it loses a cancellation that comes together with the event.
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass


def _rebuilt() -> FailedPrecondition:
    return FailedPrecondition(
        "FEED_REBUILT",
        "变更流已重建，请从头读取",
        "The cursor is of another history of this feed: read again from the start",
    )
