"""Sends the rows of one file over a stream, a few batches on the way at once, and goes on after an interruption."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Protocol, TypeVar, cast
from uuid import uuid4

from hutong.common.v1.identity_pb2 import StoreIdentity
from hutong.common.v1.subject_pb2 import Purpose
from hutong.records.v1.intake_service_pb2 import StreamRecordsRequest, StreamRecordsResponse

from cli.importing.batches import Batch, Destination, Rows, batches, refused, request
from cli.importing.journal import Journal
from cli.importing.tally import Tally
from cli.laboratory_files.refusals import Refusal
from services.common.errors import Code, ServiceError, Unavailable
from services.common.identities import REASONS, RECORDS, ExpectedStore
from services.common.regions import NATION
from services.runtime.resilience.backoff import Backoff

T = TypeVar("T")

_RETRIED = frozenset({Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED, Code.RESOURCE_EXHAUSTED, Code.ABORTED})
FIRST_PAUSE, LONGEST_PAUSE = 0.3, 2.0
"""Seconds between attempts."""
ATTEMPTS = 5
"""Attempts without anything acknowledged: a store that restarts is waited for, one that stays away is reported within
seconds."""

IN_FLIGHT = 3
"""Batches on the way at once: one is committed, one judged, one travels. No more of a file is in memory."""


_NOTHING = 0
"""Instead of the number of a batch none of whose rows could be read."""


class RecordIntake(Protocol):
    """The intake of a store, as an import needs it."""

    def StreamRecords(self, requests: AsyncIterator[StreamRecordsRequest]) -> AsyncIterator[StreamRecordsResponse]:
        """See the contract."""
        ...


class StoppedError(Exception):
    """The store did not take a batch. What was acknowledged before is durable, and `tally` counts it."""

    def __init__(self, tally: Tally, error: ServiceError) -> None:
        super().__init__(str(error))
        self.tally = tally
        self.error = error


class _Sending:
    """One file on its way, over as many streams as it takes."""

    def __init__(
        self,
        reader: Rows,
        destination: Destination,
        journal: Journal | None,
        stop: asyncio.Event,
        report: Callable[[Sequence[Refusal]], None],
        progress: Callable[[Tally], None],
    ) -> None:
        self._layout = reader.layout
        self._destination = destination
        self._store = StoreIdentity(kind=RECORDS)
        self._journal = journal
        self._session = str(uuid4()) if journal is None else journal.session
        self._stop = stop
        self._report = report
        self._progress = progress
        self._source = batches(reader)
        self._last = 0
        self._sent: deque[tuple[int, Batch]] = deque()
        self._moved = asyncio.Event()
        self._turn = 0
        self._resumed = False
        self._stands: int | None = None
        self._failure: Exception | None = None
        self.tally = Tally()
        self.complete = False
        self.acknowledged = 0

    @property
    def done(self) -> bool:
        """Tells if every row was dealt with."""
        return self.complete and not self._sent

    async def over(self, intake: RecordIntake) -> None:
        """Sends over one stream until all is acknowledged or it was told to stop. Raises ServiceError."""
        self._turn += 1
        self._moved.set()
        stream = cast(AsyncGenerator[StreamRecordsResponse, None], intake.StreamRecords(self._requests(self._turn)))
        async with aclosing(stream):
            opening = await _unless(self._stop, anext(stream, None))
            if opening is None and self._stop.is_set():
                # Nothing is under way here; whoever does not answer is not waited for.
                return
            if opening is not None:
                self._met(opening.identity)
                self._stands = opening.batch
                self._moved.set()
            async for response in stream:
                self._take(response)
                self._moved.set()
        if self._failure is not None:
            raise self._failure
        if self._sent or not (self.complete or self._stop.is_set()):
            raise Unavailable("STREAM_ENDED", "服务结束了传输", "The service ended the stream")

    def _met(self, identity: StoreIdentity) -> None:
        """Takes note of whose store answers: from here on no other is meant. Raises Unavailable (WRONG_STORE)."""
        if self._store.feed_id:
            return
        keeper = NATION if identity.region == NATION else self._destination.region
        ExpectedStore(RECORDS, keeper, identity.secret_fingerprint).check(identity)
        self._store.CopyFrom(identity)
        self._store.ClearField("follows")

    async def _requests(self, turn: int) -> AsyncIterator[StreamRecordsRequest]:
        self._stands = None
        yield StreamRecordsRequest(session_id=self._session, purpose=Purpose.PURPOSE_RECORD_KEEPING, store=self._store)
        try:
            if not await self._until(turn, lambda: self._stands is not None):
                return
            if not self._resumed:
                self._resumed = True
                self._resume(self._stands or 0)
            for number, batch in list(self._sent):
                if number != _NOTHING:
                    yield self._request(number, batch)
            while not self._stop.is_set():
                following = next(self._source, None)
                if following is None:
                    self.complete = True
                    return
                batch = following
                if not batch.samples:
                    # Nothing to send, so it takes no number: the store's have no gaps.
                    self._sent.append((_NOTHING, batch))
                    self._settle()
                    # However many such batches follow each other, answers and Ctrl-C are heard between them.
                    await asyncio.sleep(0)
                else:
                    self._last += 1
                    self._sent.append((self._last, batch))
                    yield self._request(self._last, batch)
                if not await self._until(turn, lambda: len(self._sent) < IN_FLIGHT):
                    return
        except Exception as error:  # noqa: BLE001  # raised again by whoever reads the answers
            self._failure = error

    async def _until(self, turn: int, holds: Callable[[], bool]) -> bool:
        """Waits for what holds; False when it is another stream's turn by then. gRPC leaves the requests of a stream
        that the server has ended where they wait, and they would take batches away from the next."""
        while turn == self._turn and not holds():
            self._moved.clear()
            await self._moved.wait()
        return turn == self._turn

    def _request(self, number: int, batch: Batch) -> StreamRecordsRequest:
        return request(number, batch.samples, self._destination)

    def _resume(self, stands: int) -> None:
        """Passes over the batches that both sides know to be durable: what the store no longer has is sent again."""
        if self._journal is None:
            return
        passed = 0
        for counts, refusals in self._journal.acknowledged():
            sent = counts.rows - counts.unreadable
            if sent and self._last >= stands:
                break
            if next(self._source, None) is None:
                break
            self._last += bool(sent)
            passed += 1
            self._count(counts, refusals)
        self._journal.begin(passed)

    def _take(self, response: StreamRecordsResponse) -> None:
        number, batch = self._sent.popleft()
        if number != response.batch:
            raise ValueError(f"batch {response.batch} was acknowledged, {number} is the next")
        counts = Tally(unreadable=len(batch.refusals))
        counts.count(response)
        self._acknowledge(counts, batch.refusals + refused(batch.samples, response, self._layout))
        self._settle()

    def _settle(self) -> None:
        # Batches without a row to send wait for those before them: the report keeps the file's order.
        while self._sent and self._sent[0][0] == _NOTHING:
            _, batch = self._sent.popleft()
            self._acknowledge(Tally(unreadable=len(batch.refusals)), batch.refusals)

    def _acknowledge(self, counts: Tally, refusals: list[Refusal]) -> None:
        refusals.sort(key=lambda refusal: refusal.row)
        if self._journal is not None:
            self._journal.add(counts, refusals)
        self.acknowledged += 1
        self._count(counts, refusals)

    def _count(self, counts: Tally, refusals: Sequence[Refusal]) -> None:
        self.tally.add(counts)
        self._report(refusals)
        self._progress(self.tally)


async def _unless(stop: asyncio.Event, waiting: Awaitable[T]) -> T | None:
    """Returns what is waited for; None when it has not come before `stop` is set, and then it is given up."""
    told, awaited = asyncio.ensure_future(stop.wait()), asyncio.ensure_future(waiting)
    try:
        await asyncio.wait({told, awaited}, return_when=asyncio.FIRST_COMPLETED)
        return awaited.result() if awaited.done() else None
    finally:
        told.cancel()
        if awaited.cancel():
            await asyncio.wait({awaited})


async def send(
    reader: Rows,
    intake: RecordIntake,
    destination: Destination,
    *,
    report: Callable[[Sequence[Refusal]], None],
    progress: Callable[[Tally], None] = lambda tally: None,
    journal: Journal | None = None,
    stop: asyncio.Event | None = None,
) -> Tally:
    """Sends every row, or until `stop` is set the batches under way. `report` is given the rows that were not stored,
    in the file's order, `progress` the counts; with a `journal` an interrupted import goes on where it stood.

    Order is kept: of two rows with one id and different content, the first is stored and the second is the conflict.
    Raises StoppedError.
    """
    stop = stop or asyncio.Event()
    sending = _Sending(reader, destination, journal, stop, report, progress)
    backoff, attempts = Backoff(FIRST_PAUSE, LONGEST_PAUSE), 0
    try:
        while True:
            before = sending.acknowledged
            try:
                await sending.over(intake)
                return sending.tally
            except ServiceError as error:
                if sending.acknowledged > before:
                    backoff.reset()
                    attempts = 0
                attempts += 1
                if error.code not in _RETRIED or error.reason in REASONS or attempts >= ATTEMPTS:
                    raise StoppedError(sending.tally, error) from None
            await _unless(stop, backoff.wait())
            if stop.is_set():
                return sending.tally
    finally:
        if journal is not None:
            journal.close(complete=sending.done)
