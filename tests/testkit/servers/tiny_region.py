"""A region that keeps a handful of records in memory and serves RecordReadService and ChangeFeedService itself, with
the stubs alone; and the same with one fault each."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

import grpc
from google.protobuf.any_pb2 import Any as Packed
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from google.rpc.status_pb2 import Status
from hutong.common.v1.identity_pb2 import StoreIdentity, StoreKind
from hutong.records.v1 import change_feed_service_pb2 as feed
from hutong.records.v1 import change_feed_service_pb2_grpc as feed_grpc
from hutong.records.v1 import record_pb2 as records
from hutong.records.v1 import record_read_service_pb2 as read
from hutong.records.v1 import record_read_service_pb2_grpc as read_grpc

FAULTS = {
    "identity": "reads say they are of another region",
    "feed-order": "the changes of a page are turned round",
    "feed-complete": "small pages skip a change",
    "feed-resume": "a watch begins at the start whatever its cursor",
    "repeated-reads": "a history bears the instant at which it was read",
    "cursor-unknown": "a cursor of another feed is taken for the start",
    "cursor-now": "-1 is taken for the start",
    "watch-alive": "a quiet watch says nothing",
    "reads-order": "oldest sample first",
    "reads-agree": "retracted records are left out",
    "paging": "the last page is never given",
    "history": "newest revision first",
    "known-at": "known_at is ignored, and said to be honoured",
    "selection": "what a selection leaves out is not said",
    "wrong-requests": "no purpose is asked for",
    "deadlines": "streams that were left are counted for ever",
    "drained": "a drain ends streams with OK",
}
"""Each fault by the check that it fails."""

_REGION, _FEED_ID = "430000", "tiny-feed"
_MOST_STREAMS = 30
_START = datetime(2022, 7, 1, tzinfo=UTC)


def _stamp(instant: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(instant)
    return stamp


def _people() -> list[bytes]:
    return [bytes([1, *([person] * 15)]) for person in range(3)]


def _changes() -> list[feed.Change]:
    """Twelve records of three people, of which one was retracted and one amended."""
    revisions = [(number, 1, records.REVISION_ACTION_SUBMITTED) for number in range(12)]
    revisions += [(4, 2, records.REVISION_ACTION_RETRACTED), (5, 2, records.REVISION_ACTION_AMENDED)]
    changes = []
    for sequence, (number, revision, action) in enumerate(revisions, 1):
        sampled = _START + timedelta(hours=10 * number)
        content = records.RecordContent(
            kind=records.RECORD_KIND_RESULT,
            sampled_at=_stamp(sampled),
            reported_at=_stamp(sampled + timedelta(hours=6)),
            result=records.TEST_RESULT_POSITIVE if number == 1 else records.TEST_RESULT_NEGATIVE,
            tube=records.TUBE_SINGLE,
            laboratory="430000-tiny",
            site="430102",
            channel=records.CHANNEL_LABORATORY,
        )
        record = records.TestRecord(
            region=_REGION,
            source_id=f"tiny-{number}",
            revision=revision,
            person_key=_people()[number % 3],
            content=content,
            action=action,
            cause="" if revision == 1 else "a slip",
            recorded_at=_stamp(_START + timedelta(days=30, minutes=sequence)),
        )
        changes.append(feed.Change(sequence=sequence, record=record))
    return changes


async def _refuse(
    context: grpc.aio.ServicerContext[Any, Any],
    code: grpc.StatusCode,
    reason: str,
    field_name: str = "",
    field_reason: str = "",
) -> NoReturn:
    status = Status(code=code.value[0], message=reason)
    details: list[ErrorInfo | BadRequest] = [ErrorInfo(reason=reason, domain="hutong")]
    if field_reason:
        violation = BadRequest.FieldViolation(field=field_name, reason=field_reason)
        details.append(BadRequest(field_violations=[violation]))
    for detail in details:
        packed = Packed()
        packed.Pack(detail)
        status.details.append(packed)
    await context.abort(code, reason, (("grpc-status-details-bin", status.SerializeToString()),))
    raise AssertionError("aborted")


@dataclass
class TinyRegion(feed_grpc.ChangeFeedServiceServicer, read_grpc.RecordReadServiceServicer):
    """The region; `fault` is one of FAULTS, or empty."""

    fault: str = ""
    changes: Sequence[feed.Change] = field(default_factory=_changes)
    draining: asyncio.Event = field(default_factory=asyncio.Event)
    streams: int = 0

    def _identity(self, *, reads: bool = False) -> StoreIdentity:
        region = "110000" if reads and self.fault == "identity" else _REGION
        return StoreIdentity(
            kind=StoreKind.STORE_KIND_RECORDS, region=region, feed_id=_FEED_ID, secret_fingerprint=b"8 bytes!"
        )

    def _cursor(self, sequence: int) -> feed.FeedCursor:
        return feed.FeedCursor(feed_id=_FEED_ID, sequence=sequence, mark=f"commit-{sequence}".encode())

    async def _position(self, cursor: feed.FeedCursor, context: grpc.aio.ServicerContext[Any, Any]) -> int:
        if not cursor.feed_id:
            now = cursor.sequence == -1 and self.fault != "cursor-now"
            return len(self.changes) if now else 0
        if self.fault == "cursor-unknown" and cursor.feed_id != _FEED_ID:
            return 0
        if (
            cursor.feed_id != _FEED_ID
            or cursor.sequence > len(self.changes)
            or (cursor.mark and cursor.mark != self._cursor(cursor.sequence).mark)
        ):
            await _refuse(context, grpc.StatusCode.FAILED_PRECONDITION, "FEED_REBUILT")
        return cursor.sequence

    async def ListChanges(self, request, context):
        """See the contract."""
        after = await self._position(request.cursor, context)
        size = request.page_size or 500
        page = list(self.changes[after : after + size])
        end = page[-1].sequence if page else after
        if self.fault == "feed-order":
            page.reverse()
        if self.fault == "feed-complete" and len(page) == size == 3:
            del page[1]
        return feed.ListChangesResponse(changes=page, cursor=self._cursor(end), identity=self._identity())

    async def WatchChanges(self, request, context):
        """See the contract."""
        after = await self._position(request.cursor, context)
        if self.fault == "feed-resume":
            after = 0
        self.streams += 1
        if self.fault == "deadlines" and self.streams > _MOST_STREAMS:
            await _refuse(context, grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_STREAMS")
        while not self.draining.is_set():
            yield feed.WatchChangesResponse(
                changes=self.changes[after:],
                cursor=self._cursor(len(self.changes)),
                identity=self._identity(),
                told_at=_stamp(datetime.now(UTC)),
            )
            after = len(self.changes)
            silent = 3_600 if self.fault == "watch-alive" else 1
            try:
                await asyncio.wait_for(self.draining.wait(), silent)
            except TimeoutError:
                continue
        if self.fault != "drained":
            await _refuse(context, grpc.StatusCode.UNAVAILABLE, "DRAINING")

    def _current(self, person: bytes, known_at: datetime | None) -> list[records.TestRecord]:
        newest: dict[str, records.TestRecord] = {}
        for change in self.changes:
            recorded = change.record.recorded_at.ToDatetime(UTC)
            if change.record.person_key == person and (known_at is None or recorded <= known_at):
                newest[change.record.source_id] = change.record
        given = [
            record
            for record in newest.values()
            if self.fault != "reads-agree" or record.action != records.REVISION_ACTION_RETRACTED
        ]
        newest_first = self.fault != "reads-order"
        return sorted(given, key=lambda record: record.content.sampled_at.seconds, reverse=newest_first)

    async def BatchListRecords(self, request, context):
        """See the contract."""
        invalid = grpc.StatusCode.INVALID_ARGUMENT
        if not request.purpose and self.fault != "wrong-requests":
            await _refuse(context, invalid, "INVALID_ARGUMENT", "purpose", "PURPOSE_REQUIRED")
        if not 1 <= len(request.subjects) <= 1_000:
            await _refuse(context, invalid, "INVALID_ARGUMENT", "subjects", "BATCH_SIZE")
        if not all(subject.person_key for subject in request.subjects):
            await _refuse(context, invalid, "INVALID_ARGUMENT", "subjects", "SUBJECT_REQUIRED")
        known_at = request.known_at.ToDatetime(UTC) if request.HasField("known_at") else None
        answer = read.BatchListRecordsResponse(identity=self._identity(reads=True))
        if known_at is not None:
            answer.known_at.CopyFrom(request.known_at)
        for subject in request.subjects:
            current = self._current(subject.person_key, None if self.fault == "known-at" else known_at)
            person = answer.people.add(person_key=subject.person_key)
            since = request.selection.since
            for record in current:
                old = request.HasField("selection") and record.content.reported_at.seconds < since.seconds
                negative = record.content.result == records.TEST_RESULT_NEGATIVE
                if old and negative and record.action != records.REVISION_ACTION_RETRACTED:
                    if self.fault != "selection":
                        if not person.left_out:
                            person.left_out.add(before=since)
                        person.left_out[0].count += 1
                else:
                    person.records.append(record)
        return answer

    async def ListRecords(self, request, context):
        """See the contract."""
        current = self._current(request.subject.person_key, None)
        start = int(request.page_token or 0)
        end = start + (request.page_size or 100)
        most = len(current) - (self.fault == "paging")
        token = str(end) if end < most else ""
        return read.ListRecordsResponse(
            records=current[start:end], next_page_token=token, identity=self._identity(reads=True)
        )

    async def GetRecordHistory(self, request, context):
        """See the contract."""
        revisions = [change.record for change in self.changes if change.record.source_id == request.source_id]
        if not revisions:
            await _refuse(context, grpc.StatusCode.NOT_FOUND, "RECORD_NOT_FOUND")
        if self.fault == "history":
            revisions.reverse()
        answer = read.GetRecordHistoryResponse(revisions=revisions, identity=self._identity(reads=True))
        if self.fault == "repeated-reads":
            answer.revisions[0].recorded_at.CopyFrom(_stamp(datetime.now(UTC)))
        return answer

    async def BatchListRecordsAtInstants(self, request, context):
        """See the contract."""
        answers = [
            await self.BatchListRecords(
                read.BatchListRecordsRequest(
                    subjects=question.subjects, purpose=request.purpose, known_at=question.known_at
                ),
                context,
            )
            for question in request.questions
        ]
        return read.BatchListRecordsAtInstantsResponse(answers=answers)

    async def GetLaboratory(self, request, context):
        """See the contract."""
        await _refuse(context, grpc.StatusCode.NOT_FOUND, "LABORATORY_NOT_FOUND")

    async def ListLaboratories(self, request, context):
        """See the contract."""
        return read.ListLaboratoriesResponse(identity=self._identity(reads=True))


@asynccontextmanager
async def serving(region: TinyRegion) -> AsyncIterator[str]:
    """Serves the region; gives its address."""
    server = grpc.aio.server()
    feed_grpc.add_ChangeFeedServiceServicer_to_server(region, server)
    read_grpc.add_RecordReadServiceServicer_to_server(region, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(0)
