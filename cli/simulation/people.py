"""Everybody in a store, or a sample of them, with their records as known at instants of the past."""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import NamedTuple

from hutong.records.v1.laboratory_pb2 import Laboratory as LaboratoryMessage
from hutong.records.v1.record_pb2 import TestRecord

from services.common.instants import Instant
from services.records.store.protocols.reads import WholeStore
from services.verdict.domain.evidence.values import Laboratory, Record
from services.verdict.servicers.translation import laboratory, record

PAGE = 500
"""People who are read at once: what is held in memory."""

_KEYS = 1 << 128


class Person(NamedTuple):
    """A person's records at each of the instants; `share` of the people to go through are done with this one."""

    known: Sequence[Sequence[Record]]
    share: float


async def laboratories(store: WholeStore) -> dict[str, Laboratory]:
    """Returns every laboratory by its id, in its last revision: which of its suspensions were known when, it tells
    itself."""
    latest = (LaboratoryMessage.FromString(row.body) for row in await store.laboratories(0))
    return {message.laboratory: laboratory(message) for message in latest}


async def everybody(
    store: WholeStore, instants: Sequence[Instant], sample: int | None, start: Callable[[], bytes]
) -> AsyncIterator[Person]:
    """Yields people in the order of their keys, page by page. A sample begins at the key that `start` gives and goes
    round: keys are the output of a keyed hash, so whoever lies together there has nothing else in common."""
    origin = b"" if sample is None else start()
    wrapped = not origin
    after, done = origin, 0
    while sample is None or done < sample:
        most = PAGE if sample is None else min(PAGE, sample - done)
        keys = await store.person_keys(after, most)
        if wrapped and origin:
            keys = [key for key in keys if key <= origin]
        if not keys:
            if wrapped:
                return
            wrapped, after = True, b""
            continue
        pages = [(await store.people(keys, at)).records for at in instants]
        for number, key in enumerate(keys, done + 1):
            known = [[record(TestRecord.FromString(row.body)) for row in page.get(key, ())] for page in pages]
            share = int.from_bytes(key) / _KEYS if sample is None else number / sample
            yield Person(known, share)
        done += len(keys)
        after = keys[-1]
