"""A region's system in one file: it submits, streams intake, amends, retracts, follows the feed, asks for a verdict and
reads an error."""

import argparse
import asyncio
import time
import uuid
from pathlib import Path

import grpc
from google.rpc import error_details_pb2, status_pb2
from hutong.records.v1 import change_feed_service_pb2 as feed
from hutong.records.v1 import change_feed_service_pb2_grpc as feed_grpc
from hutong.records.v1 import intake_service_pb2 as intake
from hutong.records.v1 import intake_service_pb2_grpc as intake_grpc
from hutong.records.v1 import record_write_service_pb2 as records
from hutong.records.v1 import record_write_service_pb2_grpc as records_grpc
from hutong.verdict.v1 import verdict_pb2
from hutong.verdict.v1 import verdict_service_pb2 as verdict
from hutong.verdict.v1 import verdict_service_pb2_grpc as verdict_grpc

REGION = "430000"
CALLER = (("hutong-caller", "region-430000"),)  # Where certificates are, the name in them counts instead.
KEEPING = "PURPOSE_RECORD_KEEPING"
PERSON = {"document": {"type": "DOCUMENT_TYPE_RESIDENT_ID", "number": "430102190909090094"}}


def content(result: str) -> dict[str, object]:
    """Returns a test sampled ten hours ago and reported one hour ago."""
    now = int(time.time())
    return {
        "kind": "RECORD_KIND_RESULT",
        "result": result,
        "tube": "TUBE_SINGLE",
        "sampled_at": {"seconds": now - 36_000},
        "reported_at": {"seconds": now - 3_600},
        "laboratory": "430000-xiangya",
        "site": "430102",
        "channel": "CHANNEL_LABORATORY",
    }


def channel(target: str, name: str, authority: str, certificates: Path | None) -> grpc.aio.Channel:
    """Opens a channel: with this system's certificate to a server that `authority` vouches for; in the clear where
    there are no certificates."""
    options: list[tuple[str, object]] = [
        ("grpc.lb_policy_name", "round_robin"),
        ("grpc.dns_min_time_between_resolutions_ms", 1_000),
    ]
    if certificates is None:
        return grpc.aio.insecure_channel(target, options)
    files = (f"trust/{authority}.pem", f"region-{REGION}-system/tls.key", f"region-{REGION}-system/tls.crt")
    parts = [(certificates / file).read_bytes() for file in files]
    return grpc.aio.secure_channel(
        target, grpc.ssl_channel_credentials(*parts), [*options, ("grpc.ssl_target_name_override", name)]
    )


async def take_in(
    stub: intake_grpc.RecordIntakeServiceStub, session: str, batches: list[list[dict[str, object]]], stop_after: int
) -> None:
    """Sends what the session does not have yet, and leaves after so many batches, as a program that dies would."""
    stream = stub.StreamRecords(metadata=CALLER, timeout=30)
    await stream.write(intake.StreamRecordsRequest(session_id=session, purpose=KEEPING))
    durable = (await stream.read()).batch
    print(f"intake: the session stands at batch {durable}")
    for number in range(durable + 1, min(durable + stop_after, len(batches)) + 1):
        await stream.write(intake.StreamRecordsRequest(batch=number, submissions=batches[number - 1]))
        acknowledged = await stream.read()
        print(f"intake: batch {acknowledged.batch} is durable, {acknowledged.created} new records")
    stream.cancel()


async def follow(
    stub: feed_grpc.ChangeFeedServiceStub, cursor: feed.FeedCursor, source_id: str, revision: int
) -> tuple[feed.FeedCursor, int]:
    """Reads the feed from a cursor until a revision appears in it; returns where that is, and how many changes came."""
    changes = 0
    stream = stub.WatchChanges(feed.WatchChangesRequest(cursor=cursor), metadata=CALLER, timeout=30)
    async for message in stream:
        changes += len(message.changes)
        cursor = message.cursor  # Keep it durably, in the same transaction as what you make of the changes.
        if any((one.record.source_id, one.record.revision) == (source_id, revision) for one in message.changes):
            break
    stream.cancel()
    return cursor, changes


def reason(error: grpc.aio.AioRpcError) -> str:
    """Returns an error's reason, and what a program needs to act on it."""
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            for detail in status_pb2.Status.FromString(value).details:
                info = error_details_pb2.ErrorInfo()
                if detail.Unpack(info):
                    return f"{info.reason} {dict(info.metadata)}"
    return error.code().name


async def run(args: argparse.Namespace) -> None:
    """Runs the whole of it, once."""
    name = f"records.{REGION}.region.hutong"
    async with (
        channel(args.records, name, f"region-{REGION}", args.certificates) as store,
        channel(args.verdict, "verdict.mesh.hutong", "mesh", args.certificates) as judge,
    ):
        write = records_grpc.RecordWriteServiceStub(store)
        changes = feed_grpc.ChangeFeedServiceStub(store)
        run_id = uuid.uuid4().hex[:12].upper()
        one = f"EX-{run_id}-1"

        def submission(source_id: str) -> dict[str, object]:
            return {
                "region": REGION, "source_id": source_id, "subject": PERSON, "content": content("TEST_RESULT_NEGATIVE")
            }  # fmt: skip

        now = await changes.ListChanges(feed.ListChangesRequest(cursor={"sequence": -1}), metadata=CALLER, timeout=5)

        stored = await write.SubmitRecord(
            records.SubmitRecordRequest(submission=submission(one), purpose=KEEPING, request_id=str(uuid.uuid4())),
            metadata=CALLER, timeout=5,
        )  # fmt: skip
        print(f"submitted: revision {stored.record.revision}")

        ids = [[f"EX-{run_id}-{batch}-{row}" for row in range(3)] for batch in range(2, 5)]
        batches = [[submission(source_id) for source_id in batch] for batch in ids]
        session = str(uuid.uuid4())
        await take_in(intake_grpc.RecordIntakeServiceStub(store), session, batches, 1)
        await take_in(intake_grpc.RecordIntakeServiceStub(store), session, batches, 9)

        cursor, count = await follow(changes, now.cursor, ids[-1][-1], 1)
        print(f"feed: {count} changes so far")

        named = {"region": REGION, "source_id": one, "purpose": KEEPING}
        answer = await verdict_grpc.VerdictServiceStub(judge).ComputeVerdict(
            verdict.ComputeVerdictRequest(
                query={"subject": PERSON, "region": REGION}, purpose="PURPOSE_REGIONAL_SERVICE"
            ),
            metadata=CALLER, timeout=5,
        )  # fmt: skip
        print(f"verdict: {verdict_pb2.Status.Name(answer.verdict.status)}")

        amended = await write.AmendRecord(
            records.AmendRecordRequest(
                **named, revision=1, content=content("TEST_RESULT_INCONCLUSIVE"), cause="read again"
            ),
            metadata=CALLER, timeout=5,
        )  # fmt: skip
        print(f"amended: revision {amended.record.revision}")
        try:
            await write.RetractRecord(
                records.RetractRecordRequest(**named, revision=1, cause="too late"), metadata=CALLER, timeout=5
            )
        except grpc.aio.AioRpcError as error:
            print(f"refused: {error.code().name} {reason(error)}")
        retracted = await write.RetractRecord(
            records.RetractRecordRequest(**named, revision=2, cause="the sample was mixed up"),
            metadata=CALLER, timeout=5,
        )  # fmt: skip
        print(f"retracted: revision {retracted.record.revision}")

        # Another program, a day later, would go on from the cursor in the same way.
        _, count = await follow(changes, cursor, one, retracted.record.revision)
        print(f"feed: {count} more since")


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", default="127.0.0.1:8097", help="the region's store")
    parser.add_argument("--verdict", default="127.0.0.1:8082")
    parser.add_argument("--certificates", type=Path, help="a folder of `hutong certs dev`")
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
