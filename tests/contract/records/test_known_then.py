"""An answer can be given again: as known at an instant means as this store knew it, over every backend."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from hutong.common.v1.subject_pb2 import Subject
from hutong.common.v1.text_pb2 import LocalizedText
from hutong.records.v1 import record_write_service_pb2 as wpb
from hutong.records.v1.change_feed_service_pb2 import Change
from hutong.records.v1.laboratory_pb2 import Interval
from hutong.records.v1.record_read_service_pb2 import BatchListRecordsRequest, BatchListRecordsResponse

from services.common.errors import ServiceError
from services.common.instants import Instant, from_timestamp, to_timestamp
from services.records.domain import replication
from services.records.domain.revisions import RecordId, copy_of
from services.records.store.unit_of_work import Known, Plan, Touch
from services.runtime.clock import system_clock
from tests.testkit.builders.records import SHOW, hours, person, result
from tests.testkit.clocks import ManualClock
from tests.testkit.servers.records_service import Records, opened
from tests.testkit.servers.store_urls import sqlite_url


async def ask(records: Records, **when: Instant) -> BatchListRecordsResponse:
    """One person's records, now or then."""
    request = BatchListRecordsRequest(subjects=[Subject(person_key=person(1))], purpose=SHOW)
    for name, instant in when.items():
        getattr(request, name).CopyFrom(to_timestamp(instant))
    answer: BatchListRecordsResponse = await records.calls.BatchListRecords(request)
    return answer


async def test_an_answer_can_be_had_again(records: Records) -> None:
    """Whatever happens to records and laboratories, the answer of then is the answer as known then."""
    given = []

    async def keep() -> None:
        records.clock.forward(1)
        given.append(await ask(records, asked_at=records.clock()))
        records.clock.forward(1)

    await keep()
    await records.calls.PutLaboratory(
        wpb.PutLaboratoryRequest(
            region="430000", laboratory="430000-xiangya", display_name=LocalizedText(zh="湘雅", en="Xiangya")
        )
    )
    await records.submit("A", person(1), result())
    await keep()
    await records.calls.SuspendLaboratory(
        wpb.SuspendLaboratoryRequest(
            laboratory="430000-xiangya", suspension_id="s", sampled=Interval(to=hours(0)), cause="licence"
        )
    )
    await keep()
    await records.amend("A", 1, result(reported=-0.5))
    await records.submit("B", person(1), result(-9, -8))
    await keep()
    await records.retract("A", 2)
    await keep()
    assert len({answer.SerializeToString() for answer in given}) == 5
    for answer in given:
        assert await ask(records, known_at=from_timestamp(answer.known_at)) == answer


async def test_what_is_followed_is_known_from_its_arrival(records: Records, tmp_path: Path) -> None:
    """A revision that another region recorded earlier is not known here before it arrived."""
    async with opened(sqlite_url(tmp_path, "elsewhere")) as elsewhere:
        region = Records(elsewhere, ManualClock(), "440000")
        await region.submit("G1", person(1), result(), region="440000")
        [recorded] = await region.of(person(1))
    records.clock.forward(3600)
    before = records.clock()
    copied = replication.take("440000", [Change(sequence=1, record=recorded)], {}, {})

    def plan(_: Known) -> Plan:
        return Plan(lambda _: b"", copied.revisions)

    await records.store.commit(Touch({RecordId("440000", "G1"): person(1)}), plan, records.clock)
    assert await records.of(person(1), before) == []
    assert await records.of(person(1), records.clock()) == [recorded]


async def test_answers_under_way_are_closed(store_url: str) -> None:
    """While commits are between their instant and their end, no answer is given that could not be given again."""
    async with opened(store_url) as store:
        live = Records(store, system_clock)  # type: ignore[arg-type]
        over = asyncio.Event()
        given: list[BatchListRecordsResponse] = []

        async def write(writer: int) -> None:
            for number in range(12):
                source_id = f"W{writer}-{number}"
                made = copy_of((await _template(source_id)).record)

                def plan(_: Known, made: Any = made) -> Plan:
                    def answer(_: Instant) -> bytes:
                        # Here the commit has its instant, and is not yet to be read.
                        time.sleep(0.003)
                        return b""

                    return Plan(answer, [made])

                await store.commit(Touch({made.id: person(1)}), plan, system_clock)
                await asyncio.sleep(0)

        async def read() -> None:
            while not over.is_set():
                given.append(await ask(live, asked_at=system_clock()))
                await asyncio.sleep(0.0005)

        reader = asyncio.ensure_future(read())
        await asyncio.gather(*(write(n) for n in range(3)))
        over.set()
        await reader
        assert len({len(answer.people[0].records) for answer in given}) > 3
        for answer in given:
            again = await ask(live, known_at=from_timestamp(answer.known_at))
            assert [r.source_id for r in again.people[0].records] == [r.source_id for r in answer.people[0].records]


async def _template(source_id: str) -> Change:
    change = Change()
    record = change.record
    record.region, record.source_id, record.revision, record.person_key = "430000", source_id, 1, person(1)
    record.content.CopyFrom(result())
    record.recorded_at.CopyFrom(hours(0))
    return change


async def test_one_instant_is_asked_about(records: Records) -> None:
    """A question is about the present or about the past."""
    with pytest.raises(ServiceError) as caught:
        await ask(records, asked_at=records.clock(), known_at=records.clock())
    assert [v.reason for v in caught.value.violations] == ["ASKED_AT_NOT_ALLOWED"]


async def test_a_reader_far_ahead_does_not_move_the_clock(records: Records) -> None:
    """Who asks as of next year does not make this store's records bear next year's instants."""
    far = Instant(records.clock() + 10**13)
    await ask(records, asked_at=far)
    [record] = [(await records.submit("A", person(1), result())).record]
    assert from_timestamp(record.recorded_at) < records.clock() + 2_000_000
