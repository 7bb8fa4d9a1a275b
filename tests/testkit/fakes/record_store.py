"""Record stores in memory for those who call them: they speak the contract and fail at will."""

import asyncio
import zlib
from collections.abc import Iterable
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from hutong.common.v1.identity_pb2 import StoreIdentity
from hutong.common.v1.subject_pb2 import Purpose
from hutong.records.v1.laboratory_pb2 import Laboratory
from hutong.records.v1.record_pb2 import (
    Channel,
    Origin,
    RecordContent,
    RecordKind,
    RevisionAction,
    TestRecord,
    TestResult,
    Tube,
)
from hutong.records.v1.record_read_service_pb2 import (
    BatchListRecordsAtInstantsRequest,
    BatchListRecordsAtInstantsResponse,
    BatchListRecordsRequest,
    BatchListRecordsResponse,
    KnownLaboratories,
    PersonRecords,
)
from hutong.records.v1.record_write_service_pb2 import (
    AmendRecordRequest,
    AmendRecordResponse,
    SubmitOutcome,
    SubmitRecordRequest,
    SubmitRecordResponse,
)

from services.common.errors import (
    AlreadyExists,
    Code,
    DeadlineExceeded,
    FailedPrecondition,
    ServiceError,
    Text,
    Unavailable,
)
from services.common.identities import RECORDS, require_meant, secret_fingerprint
from services.runtime.rpc.call import current_call
from tests.testkit.secret import SECRET

DEAD = Unavailable("SERVICE_UNREACHABLE", "无法连接", "Cannot be reached")
BROKEN = ServiceError(Code.INTERNAL, "INTERNAL", Text("内部错误", "Internal error"))


def content(
    sampled: int = 1_000,
    *,
    kind: RecordKind.ValueType = RecordKind.RECORD_KIND_RESULT,
    result: TestResult.ValueType = TestResult.TEST_RESULT_NEGATIVE,
    laboratory: str = "430000-xiangya",
    channel: Channel.ValueType = Channel.CHANNEL_LABORATORY,
    origin: tuple[str, str, int] | None = None,
) -> RecordContent:
    """A test sampled at a second since the epoch and reported an hour later, unless it is a sampling record."""
    reported = kind == RecordKind.RECORD_KIND_RESULT
    return RecordContent(
        kind=kind,
        sampled_at=Timestamp(seconds=sampled),
        reported_at=Timestamp(seconds=sampled + 3_600) if reported else None,
        result=result if reported else TestResult.TEST_RESULT_UNSPECIFIED,
        tube=Tube.TUBE_SINGLE,
        laboratory=laboratory,
        site="430100",
        channel=channel,
        origin=None if origin is None else Origin(region=origin[0], source_id=origin[1], revision=origin[2]),
    )


class RecordStore:
    """A region's store, or, following others, the nation's.

    `asked` holds the keys of every question, `calls` counts the calls, `ids` are the records by person, `delay` makes
    it slow (seconds), `error` makes it fail, `stumbles` tells of each of its next questions whether it fails and how,
    `shuffled` makes it answer in another order than it was asked, `behind` names the followed regions it has not heard
    of lately, `identity` is who it says it is.
    """

    def __init__(self, region: str, follows: Iterable["RecordStore"] = ()) -> None:
        self.region = region
        self.follows = list(follows)
        self.records: dict[tuple[str, str], list[TestRecord]] = {}
        self.laboratories: dict[str, Laboratory] = {}
        self.ids: dict[bytes, set[tuple[str, str]]] = {}
        self.asked: list[list[bytes]] = []
        self.calls = 0
        self.purposes: set[Purpose.ValueType] = set()
        self.known_at: list[int | None] = []
        self.written = 0
        self.as_of = 10_000
        self.delay = 0.0
        self.error: Exception | None = None
        self.stumbles: list[Exception | None] = []
        self.shuffled = False
        self.behind: list[str] = []
        self.behind_as_of: list[int] = []
        self.identity = StoreIdentity(
            kind=RECORDS,
            region=region,
            feed_id=f"feed of {region}",
            secret_fingerprint=secret_fingerprint(SECRET.encode()),
        )

    def __getattr__(self, name: str) -> Any:
        """Methods of the contract that nobody here calls."""
        if not name[0].isupper():
            raise AttributeError(name)

        async def unimplemented(request: object) -> object:
            raise ServiceError(Code.UNIMPLEMENTED, "UNIMPLEMENTED", Text("未实现", "Not implemented"))

        return unimplemented

    def put(
        self,
        key: bytes,
        source_id: str,
        test: RecordContent | None = None,
        *,
        region: str = "",
        action: RevisionAction.ValueType = RevisionAction.REVISION_ACTION_SUBMITTED,
        recorded: int = 5_000,
        revision: int = 0,
    ) -> TestRecord:
        """Appends a revision of a record, recorded at a second since the epoch; by default the next one."""
        revisions = self.records.setdefault((region or self.region, source_id), [])
        record = TestRecord(
            region=region or self.region,
            source_id=source_id,
            revision=revision or len(revisions) + 1,
            person_key=key,
            content=test or content(),
            action=action,
            recorded_at=Timestamp(seconds=recorded),
        )
        revisions.append(record)
        self.ids.setdefault(key, set()).add((record.region, source_id))
        return record

    async def BatchListRecords(self, request: BatchListRecordsRequest) -> BatchListRecordsResponse:
        """Returns everything known about each person, as known then."""
        self.calls += 1
        return await self._answer(request)

    async def BatchListRecordsAtInstants(
        self, request: BatchListRecordsAtInstantsRequest
    ) -> BatchListRecordsAtInstantsResponse:
        """Returns the same at each of several instants."""
        self.calls += 1
        versions = set(request.known_laboratories.versions)
        response = BatchListRecordsAtInstantsResponse()
        for question in request.questions:
            alone = BatchListRecordsRequest(
                subjects=question.subjects,
                known_at=question.known_at,
                purpose=request.purpose,
                known_laboratories=KnownLaboratories(versions=versions),
            )
            answer = await self._answer(alone)
            versions.add(answer.laboratories_version)
            response.answers.append(answer)
        return response

    def _told(self) -> StoreIdentity:
        identity = StoreIdentity()
        identity.CopyFrom(self.identity)
        for store in self.follows:
            identity.follows.add(region=store.region, feed_id=store.identity.feed_id)
        for region in self.behind:
            if region not in [store.region for store in self.follows]:
                identity.follows.add(region=region)
        return identity

    async def _answer(self, request: BatchListRecordsRequest) -> BatchListRecordsResponse:
        asked = [subject.person_key for subject in request.subjects]
        self.asked.append(asked)
        self.purposes.add(request.purpose)
        at = request.known_at.seconds if request.HasField("known_at") else None
        self.known_at.append(at)
        if self.delay:
            await asyncio.sleep(self.delay)
        error = self.stumbles.pop(0) if self.stumbles else self.error
        if error is not None:
            raise error
        if current_call().remaining() <= 0:
            # As any client does for a call that has no time left.
            raise DeadlineExceeded()
        known: dict[bytes, list[TestRecord]] = {}
        for store in (self, *self.follows):
            ids = dict.fromkeys(identity for key in asked for identity in sorted(store.ids.get(key, ())))
            for revisions in [store.records[identity] for identity in ids]:
                seen = [one for one in revisions if at is None or one.recorded_at.seconds <= at]
                if seen:
                    known.setdefault(seen[-1].person_key, []).append(seen[-1])
        people = [PersonRecords(person_key=key, records=known.get(key, ())) for key in asked]
        if self.shuffled:
            people.reverse()
        table = [laboratory for store in (self, *self.follows) for laboratory in store.laboratories.values()]
        version = zlib.crc32(b"".join(laboratory.SerializeToString() for laboratory in table))
        return BatchListRecordsResponse(
            people=people,
            laboratories=() if version in request.known_laboratories.versions else table,
            laboratories_version=version,
            as_of=Timestamp(seconds=self.as_of),
            behind=self.behind,
            behind_as_of=[Timestamp(seconds=known) for known in self.behind_as_of],
            identity=self._told(),
        )

    async def SubmitRecord(self, request: SubmitRecordRequest) -> SubmitRecordResponse:
        """Stores one record as the contract says."""
        require_meant(request.store, self.identity)
        if self.error is not None:
            raise self.error
        submission = request.submission
        assert submission.region == self.region
        held = self.records.get((self.region, submission.source_id))
        if held is None:
            self.written += 1
            record = self.put(submission.subject.person_key, submission.source_id, submission.content)
            return SubmitRecordResponse(
                outcome=SubmitOutcome.SUBMIT_OUTCOME_CREATED, record=record, identity=self.identity
            )
        if held[-1].action == RevisionAction.REVISION_ACTION_RETRACTED:
            return SubmitRecordResponse(
                outcome=SubmitOutcome.SUBMIT_OUTCOME_ALREADY_RETRACTED, record=held[-1], identity=self.identity
            )
        if held[-1].content == submission.content and held[-1].person_key == submission.subject.person_key:
            return SubmitRecordResponse(
                outcome=SubmitOutcome.SUBMIT_OUTCOME_UNCHANGED, record=held[-1], identity=self.identity
            )
        raise AlreadyExists("RECORD_CONFLICT", "内容不同", "Other content")

    async def AmendRecord(self, request: AmendRecordRequest) -> AmendRecordResponse:
        """Replaces a record's content as the contract says."""
        require_meant(request.store, self.identity)
        held = self.records[(request.region, request.source_id)]
        if held[-1].revision != request.revision:
            raise FailedPrecondition("REVISION_MISMATCH", "版本不符", "Another revision is current")
        self.written += 1
        record = self.put(
            held[-1].person_key, request.source_id, request.content, action=RevisionAction.REVISION_ACTION_AMENDED
        )
        return AmendRecordResponse(record=record, identity=self.identity)
