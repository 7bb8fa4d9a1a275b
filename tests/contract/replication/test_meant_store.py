"""A writer says which store it means: another one keeps nothing, and every answer to a write says who gave it."""

from collections.abc import AsyncIterator, Mapping

import pytest
from google.protobuf.message import Message
from hutong.common.v1.identity_pb2 import StoreIdentity
from hutong.common.v1.text_pb2 import LocalizedText
from hutong.records.v1 import record_write_service_pb2 as wpb
from hutong.records.v1.intake_service_pb2 import StreamRecordsRequest
from hutong.records.v1.laboratory_pb2 import Interval

from services.common.identities import RECORDS
from services.common.instants import to_timestamp
from tests.testkit.builders.records import KEEP, fresh_id, person, result, submission
from tests.testkit.servers.records_service import Records, put_laboratory, refused

WRONG: Mapping[str, StoreIdentity] = {
    "WRONG_STORE": StoreIdentity(kind=RECORDS, region="110000"),
    "OTHER_SECRET": StoreIdentity(region="430000", secret_fingerprint=b"another!"),
    "FEED_CHANGED": StoreIdentity(feed_id="another file"),
}


def writes(records: Records, revision: int, *, of: str) -> dict[str, Message]:
    """A request of every method that writes, about the record `of`."""
    interval = Interval(to=to_timestamp(records.clock.now))
    return {
        "SubmitRecord": wpb.SubmitRecordRequest(submission=submission(fresh_id(), person(1), result()), purpose=KEEP),
        "BatchSubmitRecords": wpb.BatchSubmitRecordsRequest(
            submissions=[submission(fresh_id(), person(1), result())], purpose=KEEP
        ),
        "AmendRecord": wpb.AmendRecordRequest(
            region="430000", source_id=of, revision=revision, content=result(reported=-0.5), cause="c", purpose=KEEP
        ),
        "RetractRecord": wpb.RetractRecordRequest(
            region="430000", source_id=of, revision=revision + 1, cause="c", purpose=KEEP
        ),
        "PutLaboratory": wpb.PutLaboratoryRequest(
            region="430000", laboratory="430000-other", display_name=LocalizedText(zh="二", en="Second")
        ),
        "SuspendLaboratory": wpb.SuspendLaboratoryRequest(
            laboratory="430000-xiangya", suspension_id="s", sampled=interval, cause="c"
        ),
        "LiftSuspension": wpb.LiftSuspensionRequest(laboratory="430000-xiangya", suspension_id="s", cause="c"),
    }


@pytest.mark.parametrize("reason", WRONG)
async def test_another_store_keeps_nothing(records: Records, reason: str) -> None:
    """Of no method of a write; the feed stands where it stood."""
    await put_laboratory(records, "430000-xiangya")
    stored = await records.submit(fresh_id(), person(1), result())
    before = await records.store.head()
    assert set(writes(records, 1, of=stored.record.source_id)) == {
        method.name for method in wpb.DESCRIPTOR.services_by_name["RecordWriteService"].methods
    }
    for method, request in writes(records, stored.record.revision, of=stored.record.source_id).items():
        request.store.CopyFrom(WRONG[reason])  # type: ignore[attr-defined]  # each of them has it
        error = await refused(getattr(records.calls, method)(request))
        assert (error.code.name, error.reason) == ("UNAVAILABLE", reason), method
    assert before == await records.store.head()


async def test_the_store_that_is_meant_says_who_it_is(records: Records) -> None:
    """Named in full, in part or not at all; a retry that names it otherwise is the same request."""
    await put_laboratory(records, "430000-xiangya")
    stored = await records.submit(fresh_id(), person(1), result())
    own = stored.identity
    assert (RECORDS, "430000", (await records.store.head()).feed_id) == (own.kind, own.region, own.feed_id)
    for method, request in writes(records, stored.record.revision, of=stored.record.source_id).items():
        request.store.CopyFrom(own)  # type: ignore[attr-defined]  # each of them has it
        response = await getattr(records.calls, method)(request)
        assert own == response.identity, method
    again = wpb.SubmitRecordRequest(
        submission=submission("again", person(2), result()),
        purpose=KEEP,
        request_id="0a4fbb0c-6a5c-4f9c-9d38-0d6e8e5e2a11",
    )
    first = await records.calls.SubmitRecord(again)
    again.store.region = "430000"
    assert first == await records.calls.SubmitRecord(again)


@pytest.mark.parametrize("reason", WRONG)
async def test_another_store_opens_no_session(records: Records, reason: str) -> None:
    """Of an intake nothing is read."""

    async def requests(store: StoreIdentity | None) -> AsyncIterator[StreamRecordsRequest]:
        session = "6b1f9d1e-5f5d-4df5-8e9a-0f6c3b1c9b11"
        yield StreamRecordsRequest(session_id=session, purpose=KEEP, store=store)
        yield StreamRecordsRequest(batch=1, submissions=[submission("T1", person(1), result())])

    error = await refused(anext(records.calls.StreamRecords(requests(WRONG[reason]))))
    assert (error.code.name, error.reason) == ("UNAVAILABLE", reason)
    assert 0 == (await records.store.head()).sequence
    answers = [answer async for answer in records.calls.StreamRecords(requests(StoreIdentity(region="430000")))]
    assert "430000" == answers[0].identity.region
    assert 1 == answers[1].created
