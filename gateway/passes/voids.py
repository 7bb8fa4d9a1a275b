"""The results that became void lately, from the nation's change feed: those that living passes may rest on."""

import logging
from collections.abc import Iterable, Iterator
from contextlib import aclosing
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp
from hutong.records.v1.change_feed_service_pb2 import FeedCursor, WatchChangesResponse
from hutong.records.v1.laboratory_pb2 import Interval, Laboratory
from hutong.records.v1.record_pb2 import RevisionAction, TestRecord, TestResult

from gateway.news.sources import RecordsNews
from services.certificates.passes.bundle import VoidInterval
from services.certificates.passes.contents import laboratory_digest, record_digest
from services.common.errors import Code, ServiceError
from services.common.instants import HOUR, Instant
from services.runtime.clock import Clock
from services.runtime.resilience.backoff import Backoff

log = logging.getLogger("hutong.passes")

KEPT = HOUR
"""A pass lives for minutes, and rests on nothing that was void when it was issued."""
_EVER = datetime.fromtimestamp(0, UTC)
_OPEN = datetime(2100, 1, 1, tzinfo=UTC)


class Voids:
    """Hears the nation's feed in every replica, and remembers what was void for an hour."""

    def __init__(self, news: RecordsNews, clock: Clock) -> None:
        self._news = news
        self._clock = clock
        self._records: dict[bytes, Instant] = {}
        self._laboratories: dict[str, tuple[Instant, tuple[VoidInterval, ...]]] = {}
        self._heard: Instant | None = None

    @property
    def heard_at(self) -> Instant | None:
        """Returns when the feed last gave a sign of life; None before it ever did."""
        return self._heard

    @property
    def records(self) -> frozenset[bytes]:
        """Returns the digests of the records that became void lately."""
        since = self._clock() - KEPT
        return frozenset(record for record, at in self._records.items() if at >= since)

    @property
    def intervals(self) -> tuple[VoidInterval, ...]:
        """Returns the void intervals of the laboratories whose standing changed lately."""
        since = self._clock() - KEPT
        return tuple(one for at, intervals in self._laboratories.values() if at >= since for one in intervals)

    async def run(self) -> None:
        """Hears the feed, forever."""
        backoff = Backoff(0.2, 1.0)
        cursor: FeedCursor | None = None
        while True:
            try:
                async with aclosing(self._news.batches(cursor)) as batches:
                    async for batch in batches:
                        backoff.reset()
                        self.take(batch)
                        cursor = batch.cursor
            except ServiceError as error:
                if error.code is Code.FAILED_PRECONDITION:
                    cursor = None
                log.warning("void results not heard of", extra={"reason": error.reason})
            await backoff.wait()

    def take(self, batch: WatchChangesResponse) -> None:
        """Takes a batch of changes, or a sign of life."""
        now = self._clock()
        for change in batch.changes:
            if change.HasField("record") and _is_void(change.record):
                self._records |= dict.fromkeys(_digests(change.record), now)
            elif change.HasField("laboratory"):
                laboratory = change.laboratory
                self._laboratories[laboratory.laboratory] = now, tuple(void_intervals(laboratory))
        self._heard = now
        since = now - KEPT
        self._records = {record: at for record, at in self._records.items() if at >= since}
        self._laboratories = {name: one for name, one in self._laboratories.items() if one[0] >= since}


def _is_void(record: TestRecord) -> bool:
    """Tells if nobody may pass on a record any more: it was withdrawn, or amended to another result than negative. One
    that was amended and stays negative is what new passes rest on."""
    return record.action == RevisionAction.REVISION_ACTION_RETRACTED or (
        record.action == RevisionAction.REVISION_ACTION_AMENDED
        and record.content.result != TestResult.TEST_RESULT_NEGATIVE
    )


def _digests(record: TestRecord) -> Iterable[bytes]:
    yield record_digest(record.region, record.source_id)
    origin = record.content.origin
    if origin.region:
        yield record_digest(origin.region, origin.source_id)


def void_intervals(laboratory: Laboratory) -> Iterator[VoidInterval]:
    """Yields the intervals in which a laboratory's samples do not count: suspensions that stand, and the gaps between
    its accreditations where it has any."""
    digest = laboratory_digest(laboratory.laboratory)
    for suspension in laboratory.suspensions:
        if not suspension.HasField("lifted_at"):
            yield VoidInterval(digest, *_bounds(suspension.sampled))
    if laboratory.accredited:
        end = _EVER
        for begins, ends in sorted(_bounds(one) for one in laboratory.accredited):
            if begins > end:
                yield VoidInterval(digest, end, begins)
            end = max(end, ends)
        if end < _OPEN:
            yield VoidInterval(digest, end, _OPEN)


def _bounds(interval: Interval) -> tuple[datetime, datetime]:
    begins = _at(getattr(interval, "from")) if interval.HasField("from") else _EVER
    return begins, _at(interval.to) if interval.HasField("to") else _OPEN


def _at(timestamp: Timestamp) -> datetime:
    return datetime.fromtimestamp(timestamp.seconds, UTC)
