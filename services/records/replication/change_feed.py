"""The change feed of a store: what changed after a cursor."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from services.common.errors import FailedPrecondition
from services.common.instants import Instant
from services.records.metrics import FEED_SEQUENCE
from services.records.store.protocols.feed_log import FeedLog
from services.records.store.values.feed import ChangeRow, Head
from services.runtime.clock import Clock

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
    """Reads one store's changes in order."""

    def __init__(self, name: str, store: FeedLog, complete_until: Clock) -> None:
        """`complete_until` tells up to when the store has everything: now, or less where it follows others."""
        self._store = store
        self._complete_until = complete_until
        self._gauge = FEED_SEQUENCE.labels(name)

    @property
    def poll_seconds(self) -> float:
        """Returns how many seconds to wait before looking whether another process has committed."""
        return self._store.poll_seconds

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

    async def read_up_to(self, after: Head, last: Head) -> Batch:
        """Returns the changes after a position, none beyond a later one that the feed was read to before; up to when
        the reader has everything is not said."""
        rows = _cut(await self._store.changes(after.sequence, DEFAULT_CHANGES), last.sequence)
        changes, here = unbroken(rows, after.sequence)
        mark = last.mark if here == last.sequence else await self._store.mark(here)
        return Batch(tuple(changes), Head(last.feed_id, here, mark), None)


def _cut(rows: Iterable[ChangeRow], last: int) -> Iterator[ChangeRow]:
    """Yields what is numbered up to `last`; of a purged range that goes on beyond it, the part that does not."""
    for row in rows:
        if row.sequence <= last:
            yield row
        elif 0 < row.purged_from <= last:
            yield row._replace(sequence=last)


def _rebuilt() -> FailedPrecondition:
    return FailedPrecondition(
        "FEED_REBUILT",
        "变更流已重建，请从头读取",
        "The cursor is of another history of this feed: read again from the start",
    )
