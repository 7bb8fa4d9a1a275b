"""A connection that is lost in the middle of a commit: nobody knows whether it was, and nothing happens twice."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from google.protobuf.message import Message
from hutong.common.v1.text_pb2 import LocalizedText
from hutong.records.v1 import conflict_service_pb2 as cpb
from hutong.records.v1 import record_write_service_pb2 as wpb
from hutong.records.v1.intake_service_pb2 import StreamRecordsRequest
from hutong.records.v1.laboratory_pb2 import Interval

from bench.servers.postgres import PostgresServer
from services.common.instants import Instant
from services.records.domain.replication import Cursor
from services.records.store.postgres.store import PostgresStore
from services.records.store.unit_of_work import Plan, Touch
from tests.testkit.builders.records import KEEP, hours, person, result, submission
from tests.testkit.clocks import ManualClock
from tests.testkit.servers.proxy import Proxy
from tests.testkit.servers.records_service import Records, opened

pytestmark = pytest.mark.postgres

UNCHANGED = wpb.SubmitOutcome.SUBMIT_OUTCOME_UNCHANGED

COMMIT = b"COMMIT;"
ANSWERED = b"COMMIT\0"
"""What a client sends, and how the server confirms it."""


class LossyProxy(Proxy):
    """Loses the connection over one commit: either before the server hears of it, or before the client hears that it
    was done."""

    losing = ""
    lost = 0

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            if (self.losing, True) in (("commit", COMMIT in data), ("answer", ANSWERED in data)):
                self.losing = ""
                self.lost += 1
                break
            writer.write(data)
            await writer.drain()
        writer.transport.abort()


async def _amend(records: Records) -> Any:
    return await records.amend("S1", 1, result(reported=-0.5))


async def _amend_once(records: Records) -> Any:
    return await records.amend("S1", 1, result(reported=-0.5), request_id="7f1cbe2c-20b0-4b0f-9b8e-1a7d0a0b5f11")


async def _retract(records: Records) -> Any:
    return await records.retract("S1", 1)


async def _submit(records: Records) -> Any:
    return (await records.submit("S2", person(2), result())).record


async def _submit_many(records: Records) -> Any:
    offers = [submission(f"S{n}", person(n), result()) for n in range(1, 9)]
    return await records.submit_many(offers, request_id="0c7c6f6d-52fb-4e2f-a1a5-3c1f9f6c2f10")


async def _stream(records: Records) -> Any:
    async def batches() -> AsyncIterator[StreamRecordsRequest]:
        yield StreamRecordsRequest(session_id="5b0fd6c5-8a53-4a04-9d0a-0f2d9d4a2f0a", purpose=KEEP)
        for batch in (1, 2):
            rows = [submission(f"B{batch}-{n}", person(n), result()) for n in range(300)]
            yield StreamRecordsRequest(batch=batch, submissions=rows)

    answers = [answer async for answer in records.calls.StreamRecords(batches())]
    # Rows of the batch that is done again may be there already; none is refused, none missing.
    listed = {row.outcome for one in answers for row in one.rows}
    return [(one.batch, one.created + len(one.rows)) for one in answers], listed - {UNCHANGED}


async def _put_laboratory(records: Records) -> Any:
    return await records.calls.PutLaboratory(
        wpb.PutLaboratoryRequest(region="430000", laboratory="l1", display_name=LocalizedText(zh="一", en="One"))
    )


async def _suspend(records: Records) -> Any:
    return await records.calls.SuspendLaboratory(
        wpb.SuspendLaboratoryRequest(
            laboratory="430000-xiangya", suspension_id="1", sampled=Interval(to=hours(-4)), cause="audit"
        )
    )


async def _settle(records: Records) -> Any:
    (kept,) = (await records.calls.ListConflicts(cpb.ListConflictsRequest(purpose=KEEP))).conflicts
    how = cpb.Settlement.SETTLEMENT_OFFERED_TAKEN
    return await records.calls.SettleConflict(
        cpb.SettleConflictRequest(
            conflict_id=kept.conflict_id,
            settlement=how,
            cause="asked",
            purpose=KEEP,
        )
    )


async def _follow(records: Records) -> Any:
    plan = Plan(lambda _: b"moved", cursor=Cursor("feed", 7, Instant(1)))
    return await records.store.commit(Touch(followed="440000"), lambda _: plan, records.clock)


ACTIONS: dict[str, Callable[[Records], Awaitable[Any]]] = {
    "amend": _amend,
    "amend, with a request_id": _amend_once,
    "retract": _retract,
    "submit": _submit,
    "submit many": _submit_many,
    "stream": _stream,
    "put a laboratory": _put_laboratory,
    "suspend a laboratory": _suspend,
    "settle a conflict": _settle,
    "follow": _follow,
}


async def prepared(url: str) -> None:
    """A record, a laboratory, and an offer that contradicts the record."""
    async with opened(url) as store:
        records = Records(store, ManualClock())
        await records.submit("S1", person(1), result())
        await records.submit_many([submission("S1", person(1), result(reported=-0.25))])
        await records.calls.PutLaboratory(
            wpb.PutLaboratoryRequest(
                region="430000", laboratory="430000-xiangya", display_name=LocalizedText(zh="湘雅", en="Xiangya")
            )
        )


async def held(store: PostgresStore) -> Any:
    """All that a store holds."""
    return (
        await store.changes(0, 10_000),
        (await store.head()).sequence,
        await store.cursors(),
        [(one.conflict_id, one.settlement) for one in await store.conflicts(0, 100, True)],
    )


def _of_any_feed(answer: Any) -> Any:
    """Returns an answer without the name of the store's feed: each store has its own."""
    if isinstance(answer, Message) and "identity" in answer.DESCRIPTOR.fields_by_name:
        answer.ClearField("identity")
    return answer


class Standing(ManualClock):
    """A clock that stands, so that what is done twice is stamped as what is done once."""

    def __call__(self) -> Instant:
        """Always the same."""
        return self.now


@pytest.mark.parametrize("losing", ["commit", "answer"])
@pytest.mark.parametrize("name", ACTIONS)
async def test_a_lost_commit_is_done_again_and_happens_once(postgres_server: PostgresServer, name, losing):
    """Whether the database did it or not: the caller gets the answer, and the store holds the same, as if nothing had
    been lost."""
    smooth, rough = [await postgres_server.create_database() for _ in range(2)]
    for url in (smooth, rough):
        await prepared(url)
    async with opened(smooth) as store:
        expected = _of_any_feed(await ACTIONS[name](Records(store, Standing()))), await held(store)
    async with LossyProxy(f"127.0.0.1:{postgres_server.port}") as proxy:
        store = PostgresStore(rough.replace(f"127.0.0.1:{postgres_server.port}", proxy.address))
        await store.ping()
        proxy.losing = losing
        answer = _of_any_feed(await ACTIONS[name](Records(store, Standing())))
        assert 1 == proxy.lost
        assert expected == (answer, await held(store))
        await store.close()
    for url in (smooth, rough):
        await postgres_server.drop_database(url)
