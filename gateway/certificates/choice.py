"""The choice of the record that a region certifies, and whether it stands. Pure."""

from collections.abc import Iterable, Sequence

from hutong.lookup.v1.evidence_service_pb2 import Evidence, SourceStatus
from hutong.records.v1.record_pb2 import RecordKind, RevisionAction, TestRecord, TestResult

from gateway.passes.voids import void_intervals
from services.certificates.passes.bundle import VoidInterval
from services.certificates.passes.contents import RestsOn, laboratory_digest, record_digest
from services.common.errors import FailedPrecondition, NotFound, ServiceError, Unavailable
from services.common.instants import from_timestamp, to_datetime

_CERTIFIED = frozenset((TestResult.TEST_RESULT_NEGATIVE, TestResult.TEST_RESULT_POSITIVE))


def is_void(record: TestRecord, evidence: Evidence) -> bool:
    """Tells whether a record was withdrawn, or its laboratory's standing voids it."""
    if record.action == RevisionAction.REVISION_ACTION_RETRACTED:
        return True
    sampled_at = to_datetime(from_timestamp(record.content.sampled_at))
    ground = RestsOn(
        record_digest(record.region, record.source_id), laboratory_digest(record.content.laboratory), sampled_at
    )
    return any(interval.covers(ground) for interval in _intervals(evidence, record.content.laboratory))


def _intervals(evidence: Evidence, laboratory: str) -> Iterable[VoidInterval]:
    return (
        interval for one in evidence.laboratories if one.laboratory == laboratory for interval in void_intervals(one)
    )


def certifiable(evidence: Evidence, region: str, source_id: str, laboratories: Sequence[str] | None) -> TestRecord:
    """Returns the record of a region that a certificate is to prove: the named one, or the newest. `laboratories` are
    those whose results alone may be certified, None: any.

    Raises NotFound (RESULT_NOT_FOUND), Unavailable (SOURCES_UNREACHABLE) where it might be but the region did not
    answer, FailedPrecondition (RESULT_NOT_CERTIFIABLE) for a named one that no certificate can state.
    """
    own = [
        record
        for record in evidence.records
        if record.region == region
        and not record.content.HasField("origin")
        and (laboratories is None or record.content.laboratory in laboratories)
        and (not source_id or record.source_id == source_id)
    ]
    stated = [record for record in own if _can_be_stated(record) and not is_void(record, evidence)]
    if stated:
        return max(stated, key=lambda record: (from_timestamp(record.content.sampled_at), record.source_id))
    if own and source_id:
        raise FailedPrecondition(
            "RESULT_NOT_CERTIFIABLE",
            "该记录不能出具证明：未出结果、无法判定、采样时间不详，或已作废",
            "No certificate can state this record: no result yet, inconclusive, sampled at an unknown time, or void",
        )
    raise _missing(evidence, region)


def _can_be_stated(record: TestRecord) -> bool:
    content = record.content
    return (
        content.kind == RecordKind.RECORD_KIND_RESULT
        and content.result in _CERTIFIED
        and content.HasField("sampled_at")
        and content.HasField("reported_at")
    )


def _missing(evidence: Evidence, region: str) -> ServiceError:
    answered = {cover.source for cover in evidence.coverage if cover.status == SourceStatus.SOURCE_STATUS_OK}
    if region in answered or "nation" in answered:
        return NotFound(
            "RESULT_NOT_FOUND",
            "该地区没有可出具证明的检测结果",
            "The region has no result that a certificate can state",
        )
    return Unavailable(
        "SOURCES_UNREACHABLE",
        "部分数据来源未应答，结果可能存在，请稍后再试",
        "Sources did not answer; the result may exist, try again later",
    )
