"""Copies follow their originals: the nation, which sees both, tells the region that keeps a copy, and that region alone
writes it. What is due is noted in the transaction that brought the change, so no crash forgets it; doing it twice does
it once."""

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Protocol

from hutong.common.v1.subject_pb2 import Purpose
from hutong.records.v1.record_pb2 import RevisionAction, TestRecord
from hutong.records.v1.record_write_service_pb2 import AmendRecordRequest, RetractRecordRequest

from services.common.errors import Code, ServiceError
from services.records.domain.copies import Follow, follow
from services.records.domain.revisions import RecordId
from services.records.metrics import BY_REGION, COPIES_FOLLOWED, COPIES_REFUSED
from services.records.ports import Copies
from services.records.store.protocols.copy_queue import CopyQueue
from services.records.store.protocols.histories import RecordHistories
from services.records.store.values.feed import DueCopy
from services.runtime.feeds.commit_signal import CommitSignal

log = logging.getLogger("hutong.records.copies")

AT_ONCE = 200
ABREAST = 20
"""Copies of a region that are compared at the same time: a laboratory corrects its results by the thousand."""
IDLE_SECONDS = 1.0
"""How soon work noted by another process is seen; that of this one is seen at once."""
RETRY_SECONDS = 1.0
"""How long a region that could not be asked is left alone."""

_WHOSE_CAUSE = "该样本编号先后属于数人，无法判明 / the source_id was several people's: nobody can tell whose test it is"

_MOVED_ON = frozenset(("REVISION_MISMATCH", "RECORD_RETRACTED", "RECORD_NOT_FOUND"))
"""The copy is not what it was thought to be: its newer revision is on its way here and will be compared in turn."""


def _forget(busy: dict[str, asyncio.Task[None]], region: str, _: asyncio.Task[None]) -> None:
    del busy[region]


async def _wait_for_work(next_commit: asyncio.Event, busy: Collection[asyncio.Task[None]]) -> None:
    """Returns when there may be something to do: what becomes due while a region is busy may be too late for it."""
    waiting = asyncio.create_task(next_commit.wait())
    try:
        await asyncio.wait({waiting, *busy}, timeout=IDLE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()


class CopyStore(CopyQueue, RecordHistories, Protocol):
    """The store as the driver of copies asks it."""


class CopySync:
    """Keeps the copies of one mesh up to date. `stores` are the stores that keep copies, by region."""

    def __init__(self, name: str, store: CopyStore, signal: CommitSignal, stores: Mapping[str, Copies]) -> None:
        self._name = name
        self._store = store
        self._signal = signal
        self._stores = stores

    async def run(self) -> None:
        """Works without end; a region that cannot be asked does not hold up the others."""
        busy: dict[str, asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as group:
            while True:
                next_commit = self._signal.next_commit()
                try:
                    due = await self._store.due_copies(
                        [region for region in self._stores if region not in busy], AT_ONCE
                    )
                except ServiceError as error:
                    log.warning("copies: %s", error, extra={"store": self._name})
                    due = ()
                except Exception:
                    # A task that ended would mean copies that silently say what is no longer true.
                    log.exception("copies", extra={"store": self._name})
                    due = ()
                for region in {copy.id.region for copy in due}:
                    busy[region] = group.create_task(self._work(region))
                    busy[region].add_done_callback(partial(_forget, busy, region))
                if not due:
                    await _wait_for_work(next_commit, busy.values())

    async def _work(self, region: str) -> None:
        try:
            while due := await self._store.due_copies([region], AT_ONCE):
                await self._compare(region, due)
        except ServiceError as error:
            log.warning("copies: %s", error, extra={"store": self._name, "region": region})
            await asyncio.sleep(RETRY_SECONDS)
        except Exception:
            log.exception("copies", extra={"store": self._name, "region": region})
            await asyncio.sleep(RETRY_SECONDS)

    async def _compare(self, region: str, due: Sequence[DueCopy]) -> None:
        failed: BaseException | None = None
        for start in range(0, len(due), ABREAST):
            abreast = due[start : start + ABREAST]
            comparing = (self._compare_one(region, copy.id) for copy in abreast)
            outcomes = await asyncio.gather(*comparing, return_exceptions=True)
            done = [copy for copy, outcome in zip(abreast, outcomes, strict=True) if outcome is None]
            if done:
                await self._store.copies_done(done)
            failed = next((outcome for outcome in outcomes if outcome is not None), failed)
            if not done:
                # Nothing gets through to this region; where something does, one copy does not hold up the others.
                break
        if failed is not None:
            raise failed

    async def _compare_one(self, region: str, copy_id: RecordId) -> None:
        copy = await self._current(copy_id)
        if copy is None:
            return
        wanted = follow(copy, await self._origin(copy))
        if wanted is None:
            return
        try:
            await self._ask(self._stores[region], copy_id, wanted)
        except ServiceError as error:
            if error.reason in _MOVED_ON:
                return
            if error.code in (Code.INVALID_ARGUMENT, Code.FAILED_PRECONDITION):
                # Asking again would end the same; someone has to look.
                COPIES_REFUSED.labels(self._name, region, BY_REGION, error.reason).inc()
                log.error("a copy cannot follow its origin: %s", error, extra={"region": region})
                return
            raise
        COPIES_FOLLOWED.labels(self._name, region).inc()

    async def _origin(self, copy: TestRecord) -> TestRecord | None:
        """Returns what a copy was made of, as it is now. Its region may have given the id to another person since."""
        record_id = RecordId(copy.content.origin.region, copy.content.origin.source_id)
        origin = await self._current(record_id)
        if origin is None or origin.person_key == copy.person_key:
            return origin
        # A claim may be under another document of the same person. Where the id was several people's, and the copy is
        # under none of the keys they had it by, nobody can tell whose test it is: it counts for nobody.
        former = [TestRecord.FromString(body) for body in await self._store.former(record_id)]
        own = next((one for one in former if one.person_key == copy.person_key), None)
        if own is not None or not former:
            return own or origin
        nobodys = TestRecord()
        nobodys.CopyFrom(origin)
        nobodys.action, nobodys.cause = RevisionAction.REVISION_ACTION_RETRACTED, _WHOSE_CAUSE
        return nobodys

    async def _current(self, record_id: RecordId) -> TestRecord | None:
        revisions = await self._store.history(record_id)
        return TestRecord.FromString(revisions[-1]) if revisions else None

    async def _ask(self, store: Copies, copy_id: RecordId, wanted: Follow) -> None:
        if wanted.content is None:
            await store.RetractRecord(
                RetractRecordRequest(
                    region=copy_id.region,
                    source_id=copy_id.source_id,
                    revision=wanted.revision,
                    cause=wanted.cause,
                    purpose=Purpose.PURPOSE_REPLICATION,
                )
            )
            return
        await store.AmendRecord(
            AmendRecordRequest(
                region=copy_id.region,
                source_id=copy_id.source_id,
                revision=wanted.revision,
                content=wanted.content,
                cause=wanted.cause,
                purpose=Purpose.PURPOSE_REPLICATION,
            )
        )
