"""Sends the rows of one file, one batch at a time, the next being read while the store commits."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol
from uuid import uuid4

from hutong.records.v1.record_write_service_pb2 import BatchSubmitRecordsRequest, BatchSubmitRecordsResponse

from cli.importing.batches import Batch, Destination, batches, refused, request
from cli.importing.tally import Tally
from cli.laboratory_files.rows import Reader, Refusal
from services.common.errors import Code, ServiceError

_RETRIED = frozenset({Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED, Code.RESOURCE_EXHAUSTED, Code.ABORTED})
RETRY_SECONDS = (0.2, 0.5, 1.0, 2.0)
"""Pauses between attempts: a store that restarts is waited for, one that stays away is reported within seconds."""


class RecordWriter(Protocol):
    """What an import needs of a store."""

    async def BatchSubmitRecords(self, request: BatchSubmitRecordsRequest) -> BatchSubmitRecordsResponse:
        """See the contract."""
        ...


class StoppedError(Exception):
    """The store did not take a batch. What was acknowledged before is durable, and `tally` counts it."""

    def __init__(self, tally: Tally, error: ServiceError) -> None:
        super().__init__(str(error))
        self.tally = tally
        self.error = error


async def _submit(writer: RecordWriter, call: BatchSubmitRecordsRequest) -> BatchSubmitRecordsResponse:
    for pause in RETRY_SECONDS:
        try:
            return await writer.BatchSubmitRecords(call)
        except ServiceError as error:
            if error.code not in _RETRIED:
                raise
        await asyncio.sleep(pause)
    return await writer.BatchSubmitRecords(call)


async def send(
    reader: Reader,
    writer: RecordWriter,
    destination: Destination,
    *,
    report: Callable[[Sequence[Refusal]], None],
    progress: Callable[[Tally], None] = lambda tally: None,
) -> Tally:
    """Sends every row. `report` is given the rows that were not stored, in the file's order, `progress` the counts.

    Order is kept: of two rows with one id and different content, the first is stored and the second is the conflict.
    Raises StoppedError.
    """
    tally = Tally()
    run = uuid4()

    async def deliver(batch: Batch) -> None:
        refusals = batch.refusals
        tally.unreadable += len(refusals)
        if batch.samples:
            response = await _submit(writer, request(batch.samples, destination, run))
            tally.count(response)
            refusals = refusals + refused(batch.samples, response, reader.layout)
        report(sorted(refusals, key=lambda refusal: refusal.row))
        progress(tally)

    under_way: asyncio.Task[None] | None = None
    try:
        for batch in batches(reader):
            if under_way is not None:
                await under_way
            under_way = asyncio.create_task(deliver(batch))
            # Lets the call leave before the next batch is read.
            await asyncio.sleep(0)
        if under_way is not None:
            await under_way
    except ServiceError as error:
        raise StoppedError(tally, error) from None
    finally:
        if under_way is not None and not under_way.done():
            under_way.cancel()
    return tally
