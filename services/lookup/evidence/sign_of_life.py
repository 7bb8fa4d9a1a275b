"""Asks a record store for a sign of life: who it is, and whether it answers, with nobody's data touched."""

import asyncio

from hutong.common.v1.subject_pb2 import Purpose, Subject
from hutong.records.v1.record_read_service_pb2 import (
    BatchListRecordsRequest,
    BatchListRecordsResponse,
    KnownLaboratories,
)
from msgspec.structs import replace

from services.common.documents import PERSON_KEY_BYTES
from services.lookup.ports import RecordsSource
from services.runtime.rpc.call import enter, leave, within

NOBODY = bytes(PERSON_KEY_BYTES)
"""The key that is asked for: no document has it."""


async def sign_of_life(store: RecordsSource, seconds: float) -> BatchListRecordsResponse:
    """Returns what a store answers about nobody. Raises TimeoutError after `seconds`, ServiceError, or whatever goes
    wrong with the store."""
    call = within(seconds)
    # It is asked for as long as an outage lasts: no traces of that.
    token = enter(replace(call, trace=replace(call.trace, sampled=False)))
    try:
        async with asyncio.timeout(seconds):
            return await store.BatchListRecords(
                BatchListRecordsRequest(
                    subjects=[Subject(person_key=NOBODY)],
                    purpose=Purpose.PURPOSE_SUPERVISION,
                    known_laboratories=KnownLaboratories(),
                )
            )
    finally:
        # The next question gets time of its own, not what this one has left.
        leave(token)
