"""A replica is read where that is as good as the original, and nobody waits for one that says nothing."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hutong.common.v1.subject_pb2 import Purpose, Subject
from hutong.records.v1.record_read_service_pb2 import BatchListRecordsRequest

from services.common.instants import Instant
from services.records.domain.selection import Selection
from services.records.store import replica as replicas
from services.records.store.protocols.record_store import RecordStore
from services.records.store.replica import LOOK_SECONDS, ReplicaReads
from services.records.store.values.records import LATEST, People
from tests.testkit.builders.records import person, result
from tests.testkit.clocks import ManualClock
from tests.testkit.servers.records_service import Records, opened
from tests.testkit.servers.store_urls import sqlite_url


async def test_what_has_not_reached_a_replica_is_not_lost(tmp_path: Path) -> None:
    """Another process has written since this one looked: whoever compares is told, others when it looks again."""
    url = sqlite_url(tmp_path, "original")
    async with opened(url) as original, opened(url) as elsewhere, opened(sqlite_url(tmp_path, "replica")) as replica:
        clock = ManualClock()
        records = Records(original, clock, replica=replica)

        async def found(purpose: Purpose.ValueType) -> list[Any]:
            request = BatchListRecordsRequest(subjects=[Subject(person_key=person(1))], purpose=purpose)
            return list((await records.calls.BatchListRecords(request)).people[0].records)

        assert await found(Purpose.PURPOSE_SHOW_CODE) == []
        written = (await Records(elsewhere, clock).submit("S1", person(1), result())).record
        assert await found(Purpose.PURPOSE_SHOW_CODE) == []
        assert await found(Purpose.PURPOSE_REPLICATION) == [written]


class Silent:
    """A replica whose wire is down: whoever asks it waits until it is mended."""

    def __init__(self, replica: RecordStore) -> None:
        self._replica = replica
        self.mended = asyncio.Event()
        self.asked = 0

    async def people(
        self,
        person_keys: Sequence[bytes],
        known_at: Instant,
        *,
        original: bool = False,
        selection: Selection | None = None,
    ) -> People:
        """Answers once it is mended."""
        self.asked += 1
        await self.mended.wait()
        return await self._replica.people(person_keys, known_at, original=original, selection=selection)

    async def settle(self, at: Instant, now: Instant) -> None:
        """Nothing is written here."""


async def test_nobody_waits_for_a_replica_that_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is noticed once; from then on the original is read at once, however often the replica is due to be tried,
    until it has given a sign of life by itself."""
    url = sqlite_url(tmp_path, "original")
    async with opened(url) as original, opened(url) as copied:
        clock = ManualClock()
        written = (await Records(original, clock).submit("S1", person(1), result())).record
        silent = Silent(copied)
        reads = ReplicaReads(original, silent, clock)
        monkeypatch.setattr(replicas, "REPLICA_PATIENCE_SECONDS", 0.01)

        async def found() -> list[bytes]:
            people = await reads.people([person(1)], LATEST)
            return [row.body for rows in people.records.values() for row in rows]

        body = await found()
        assert [written.SerializeToString()] == body
        # Whoever waited for it now would wait for ever.
        monkeypatch.setattr(replicas, "REPLICA_PATIENCE_SECONDS", 1e6)
        async with asyncio.timeout(60):
            for _ in range(5):
                clock.forward(2 * LOOK_SECONDS)
                assert body == await found()
        assert 2 == silent.asked
        silent.mended.set()
        async with asyncio.timeout(60):
            while 2 == silent.asked:
                clock.forward(2 * LOOK_SECONDS)
                assert body == await found()
                await asyncio.sleep(0)
