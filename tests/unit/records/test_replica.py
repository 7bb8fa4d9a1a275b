"""A comparison reads the original, however well a replica keeps up."""

from pathlib import Path
from typing import Any

from hutong.common.v1.subject_pb2 import Purpose, Subject
from hutong.records.v1.record_read_service_pb2 import BatchListRecordsRequest

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
