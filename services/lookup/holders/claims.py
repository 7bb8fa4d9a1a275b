"""Makes a result kept elsewhere part of a region's own record."""

import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from hutong.common.v1.subject_pb2 import Purpose, Subject
from hutong.lookup.v1.evidence_service_pb2 import Evidence
from hutong.lookup.v1.region_pb2 import Scope
from hutong.records.v1.record_pb2 import RevisionAction, TestRecord
from hutong.records.v1.record_write_service_pb2 import (
    AmendRecordRequest,
    RecordSubmission,
    SubmitOutcome,
    SubmitRecordRequest,
)

from services.common.errors import FailedPrecondition, NotFound, ServiceError, Unavailable
from services.common.regions import NATION
from services.lookup.domain import claims
from services.lookup.evidence.gatherer import Gatherer
from services.lookup.evidence.questions import EvidenceQuestion
from services.lookup.evidence.source_answers import OK
from services.lookup.ports import RecordsIntake
from services.runtime.rpc.call import current_call

ATTEMPTS = 3
"""How often a claim is worked out anew when somebody else wrote meanwhile."""
GATHERING_SHARE = 0.6
"""Of the time left, what finding the result may take; the rest is for writing the copy."""

_AMENDED = "原记录已更正，随之更正 / follows the amended original"


class Claimed(NamedTuple):
    """The copy, and whether this claim made it."""

    record: TestRecord
    created: bool


class Claimer:
    """Finds results and writes copies of them."""

    def __init__(self, gatherer: Gatherer, intakes: Mapping[str, RecordsIntake]) -> None:
        self._gatherer = gatherer
        self._intakes = dict(intakes)

    async def claim(
        self, key: bytes, region: str, named: claims.Identity | None, purpose: Purpose.ValueType, request_id: str
    ) -> Claimed:
        """Claims the named result, or the newest from elsewhere, for a region. Twice is once; a copy of a result that
        was amended since is amended too.

        Raises FailedPrecondition (REGION_NOT_ON_MESH, RESULT_IS_LOCAL, CLAIM_RETRACTED), NotFound (RESULT_NOT_FOUND),
        Unavailable (SOURCES_UNREACHABLE), and what the region's store raises.
        """
        intake = intake_of(self._intakes, region)
        for attempt in range(1, ATTEMPTS + 1):
            gathered = await self._gather(key, region, named, purpose)
            records = [record for evidence in gathered for record in evidence.records]
            found = claims.choose(records, region, named)
            if found is None:
                raise _missing(gathered, named)
            if found.region == region:
                # Claimed before, and the original cannot be seen now.
                return Claimed(found, False)
            wanted = claims.claim(found)
            copy = claims.copy_in(records, region, wanted.source_id)
            try:
                return await write_copy(intake, key, region, wanted, copy, request_id)
            except ServiceError as error:
                if not written_meanwhile(error) or attempt == ATTEMPTS:
                    raise
        raise AssertionError("the last attempt returns or raises")

    async def _gather(
        self, key: bytes, region: str, named: claims.Identity | None, purpose: Purpose.ValueType
    ) -> Sequence[Evidence]:
        # The region that keeps the original is asked as well: the nation may not have heard of it yet.
        regions = [region] if named is None else list(dict.fromkeys((region, named[0])))
        return await gather_in(self._gatherer, key, regions, purpose)


async def gather_in(
    gatherer: Gatherer, key: bytes, regions: Sequence[str], purpose: Purpose.ValueType
) -> Sequence[Evidence]:
    """Returns what is known of a person for each of these regions, in a share of the time that the call has left."""
    now = time.monotonic()
    deadline = now + (current_call().deadline - now) * GATHERING_SHARE
    questions = [EvidenceQuestion(key, asked, Scope.SCOPE_NATIONAL, None, deadline) for asked in regions]
    gathered = [Evidence() for _ in questions]
    await gatherer.fill(purpose, questions, gathered)
    return gathered


def intake_of(intakes: Mapping[str, RecordsIntake], region: str) -> RecordsIntake:
    """Returns the intake of a region. Raises FailedPrecondition (REGION_NOT_ON_MESH)."""
    intake = intakes.get(region)
    if intake is None:
        raise FailedPrecondition(
            "REGION_NOT_ON_MESH",
            "该地区未接入，无法写入",
            "The region has no store on the mesh to write to",
            {"region": region},
        )
    return intake


def written_meanwhile(error: ServiceError) -> bool:
    """Tells whether a write failed because somebody wrote between the look and the write."""
    return error.reason in ("RECORD_CONFLICT", "REVISION_MISMATCH")


async def write_copy(
    intake: RecordsIntake,
    key: bytes,
    region: str,
    wanted: claims.Claim,
    copy: TestRecord | None,
    request_id: str,
) -> Claimed:
    """Writes a copy into a region's record, or brings the one that it holds up to date. Raises FailedPrecondition
    (CLAIM_RETRACTED) where the region withdrew it, and what the region's store raises."""
    # What the holder asked for to show a code is written to keep records: no other purpose writes.
    purpose = Purpose.PURPOSE_RECORD_KEEPING
    if copy is None:
        submission = RecordSubmission(
            region=region, source_id=wanted.source_id, subject=Subject(person_key=key), content=wanted.content
        )
        submitted = await intake.SubmitRecord(
            SubmitRecordRequest(submission=submission, purpose=purpose, request_id=request_id)
        )
        if submitted.outcome == SubmitOutcome.SUBMIT_OUTCOME_ALREADY_RETRACTED:
            raise _withdrawn()
        return Claimed(submitted.record, submitted.outcome == SubmitOutcome.SUBMIT_OUTCOME_CREATED)
    if copy.action == RevisionAction.REVISION_ACTION_RETRACTED:
        raise _withdrawn()
    if claims.up_to_date(copy, wanted):
        return Claimed(copy, False)
    amended = await intake.AmendRecord(
        AmendRecordRequest(
            region=region,
            source_id=wanted.source_id,
            revision=copy.revision,
            content=wanted.content,
            cause=_AMENDED,
            purpose=purpose,
            request_id=request_id,
        )
    )
    return Claimed(amended.record, False)


def _missing(gathered: Sequence[Evidence], named: claims.Identity | None) -> ServiceError:
    """The nation knows of every result, and the region that keeps the one named knows of that."""
    answered = {cover.source for evidence in gathered for cover in evidence.coverage if cover.status == OK}
    if NATION in answered or (named is not None and named[0] in answered):
        return NotFound("RESULT_NOT_FOUND", "没有找到可认领的检测结果", "No such result is known")
    return Unavailable(
        "SOURCES_UNREACHABLE",
        "部分数据来源未应答，结果可能存在，请稍后再试",
        "Sources did not answer; the result may exist, try again later",
    )


def _withdrawn() -> FailedPrecondition:
    return FailedPrecondition(
        "CLAIM_RETRACTED", "该地区已撤回此结果的副本", "The region has withdrawn its copy of this result"
    )
