"""Questions to the verdict service about Anna and Boris, and their records."""

from typing import Any

from hutong.common.v1.subject_pb2 import Purpose, Subject
from hutong.lookup.v1 import evidence_service_pb2 as ev
from hutong.records.v1 import record_pb2 as rec
from hutong.verdict.v1 import verdict_service_pb2 as pb

from services.common.errors import ServiceError
from services.common.instants import Instant, parse_rfc3339, to_timestamp

NOW = parse_rfc3339("2022-08-09T12:00:00+08:00")


ANNA, BORIS = b"anna............", b"boris..........."


def record(region: str, source_id: str, sampled: Instant, reported: Instant | None, **content: Any) -> rec.TestRecord:
    """A negative of a single tube, or a sampling record without `reported`."""
    made = rec.TestRecord(
        region=region,
        source_id=source_id,
        revision=1,
        person_key=ANNA,
        action=rec.REVISION_ACTION_SUBMITTED,
        content=rec.RecordContent(
            kind=rec.RECORD_KIND_SAMPLING,
            sampled_at=to_timestamp(sampled),
            tube=rec.TUBE_SINGLE,
            laboratory=f"{region}-lab",
            site=region,
            channel=rec.CHANNEL_LABORATORY,
        ),
    )
    if reported is not None:
        made.content.kind = rec.RECORD_KIND_RESULT
        made.content.result = rec.TEST_RESULT_NEGATIVE
        made.content.reported_at.CopyFrom(to_timestamp(reported))
    for name, value in content.items():
        setattr(made.content, name, value)
    return made


def query(key: bytes = ANNA, region: str = "110000", **fields: Any) -> pb.VerdictQuery:
    """A question about a person known by key."""
    return pb.VerdictQuery(subject=Subject(person_key=key), region=region, **fields)


def compute(asked: pb.VerdictQuery) -> pb.ComputeVerdictRequest:
    """The request that asks it, for the holder."""
    return pb.ComputeVerdictRequest(query=asked, purpose=Purpose.PURPOSE_SHOW_CODE)


def judged(evidence: ev.Evidence, **fields: Any) -> pb.EvaluateEvidenceRequest:
    """The request to judge evidence."""
    return pb.EvaluateEvidenceRequest(
        judge=pb.EvidenceToJudge(evidence=evidence, **fields), purpose=Purpose.PURPOSE_SUPERVISION
    )


def violations(error: ServiceError) -> dict[str, str]:
    """The wrong fields of an error, with the reason for each."""
    return {violation.field: violation.reason for violation in error.violations}
