"""The news that people are told of: results that arrive in the nation's store, taken from its feed into the store of
push subscriptions. The cursor stands beside the subscriptions and moves with what was noted, so that nothing is told
twice, however many gateways follow, and nothing is lost when one dies."""

import logging
from collections.abc import Iterable
from contextlib import aclosing

from hutong.records.v1.change_feed_service_pb2 import WatchChangesResponse
from hutong.records.v1.record_pb2 import RecordKind, RevisionAction, TestRecord

from gateway.news.sources import RecordsNews, cursor_of, position
from gateway.push.messages import NoticeKind
from gateway.push.store.protocol import PushStore
from gateway.push.store.values import Arrivals
from services.common.documents import PersonKeys
from services.common.errors import Code, InvalidArgument, ServiceError
from services.common.instants import DAY, Instant, from_timestamp
from services.runtime.clock import Clock
from services.runtime.resilience.backoff import Backoff

log = logging.getLogger("hutong.push")

NEW_FOR = 7 * DAY
"""A result that was reported longer ago than this is history that is brought in, and no news."""
RESULT_LIVES = DAY
"""How long a person can be told of a result that has arrived."""
_NEWS = frozenset((RevisionAction.REVISION_ACTION_SUBMITTED, RevisionAction.REVISION_ACTION_AMENDED))
_KINDS = (int(NoticeKind.RESULT), int(NoticeKind.ENDING))


def arrived(record: TestRecord, now: Instant) -> bool:
    """Tells whether a revision is news to the person: a result, new or corrected, and not a copy, which the person made
    or the region took of what they were told of before."""
    content = record.content
    reported = from_timestamp(content.reported_at) if content.HasField("reported_at") else now
    return (
        content.kind == RecordKind.RECORD_KIND_RESULT
        and record.action in _NEWS
        and not content.origin.region
        and reported > now - NEW_FOR
    )


class PushNews:
    """Follows the nation's feed for the subscriptions of a store."""

    def __init__(self, source: RecordsNews, store: PushStore, keys: PersonKeys, clock: Clock) -> None:
        self._source = source
        self._store = store
        self._keys = keys
        self._clock = clock

    async def run(self) -> None:
        """Follows the feed, forever."""
        backoff = Backoff(0.2, 1.0)
        rebuilt = False
        while True:
            try:
                before = await self._store.cursor(self._source.name)
                # What came while nobody followed a feed that was made anew is not told of.
                after = None if rebuilt else position(before)
                async with aclosing(self._source.batches(after)) as batches:
                    async for batch in batches:
                        backoff.reset()
                        cursor = cursor_of(batch.cursor)
                        if cursor == before:
                            continue
                        fresh = before and not rebuilt
                        arrivals = self._arrivals(batch) if fresh else Arrivals(frozenset(), frozenset())
                        if not await self._take(before, cursor, arrivals):
                            break
                        before, rebuilt = cursor, False
            except ServiceError as error:
                rebuilt = rebuilt or error.code is Code.FAILED_PRECONDITION
                log.warning("news for push interrupted", extra={"reason": error.reason})
            await backoff.wait()

    async def _take(self, before: str, after: str, arrivals: Arrivals) -> bool:
        """Takes a batch in; False where another gateway is elsewhere in the feed."""
        now = self._clock()
        ends = Instant(now + RESULT_LIVES)
        if await self._store.take(self._source.name, before, after, arrivals, _KINDS, now, ends):
            return True
        # Another gateway took the same batch, or has gone on.
        return await self._store.cursor(self._source.name) == after

    def _arrivals(self, batch: WatchChangesResponse) -> Arrivals:
        now = self._clock()
        records = [change.record for change in batch.changes if change.HasField("record")]
        return Arrivals(
            frozenset(self._every(record.person_key for record in records if arrived(record, now))),
            frozenset(self._every(record.person_key for record in records)),
        )

    def _every(self, persons: Iterable[bytes]) -> Iterable[bytes]:
        for person in set(persons):
            try:
                yield from self._keys.under_every_version(person)
            except InvalidArgument:
                # Of a version that is not known here: nobody subscribed under it.
                continue
