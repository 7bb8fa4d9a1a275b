"""Checks what a submission or an amendment brings, before anything stored is looked at."""

from hutong.records.v1.record_pb2 import Origin, RecordContent
from hutong.records.v1.record_write_service_pb2 import RecordSubmission

from services.common.errors import Violation
from services.common.instants import MINUTE, Instant
from services.common.requests import contents, fields
from services.common.requests.violations import violation

DEFAULT_SKEW = 10 * MINUTE
"""How far a laboratory's clock may be ahead before its times count as lying in the future, in microseconds."""


def content_violations(
    content: RecordContent, region: str, now: Instant, skew: int = DEFAULT_SKEW, field: str = "content"
) -> list[Violation]:
    """Returns everything wrong with a content that `region` is to keep; `skew` in microseconds, `field` its path."""
    violations = contents.content(content, field, Instant(now + skew))
    violations += fields.laboratory_id(content.laboratory, f"{field}.laboratory")
    violations += fields.site(content.site, f"{field}.site")
    if content.HasField("origin"):
        violations += _origin(content.origin, region, f"{field}.origin")
    return violations


def own_number_violations(submission: RecordSubmission) -> list[Violation]:
    """Returns the fields in which the number of the person's own document stands: they are stored and logged. Reason
    DOCUMENT_NUMBER_NOT_ALLOWED."""
    content = submission.content
    texts = {
        "source_id": submission.source_id,
        "content.laboratory": content.laboratory,
        "content.origin.source_id": content.origin.source_id,
        "correction.cause": submission.correction.cause,
    }
    return fields.not_the_subjects(texts, submission.subject)


def _origin(origin: Origin, region: str, field: str) -> list[Violation]:
    violations = fields.region(origin.region, f"{field}.region")
    if not violations and origin.region == region:
        violations = violation(
            f"{field}.region",
            "ORIGIN_NOT_ELSEWHERE",
            "来源地区应不同于保存地区",
            "A copy comes from another region than the one that keeps it",
        )
    if origin.source_id:
        violations += fields.source_id(origin.source_id, f"{field}.source_id")
    if origin.revision < 0:
        violations += violation(
            f"{field}.revision", "ORIGIN_REVISION", "来源版本不能为负", "A revision is not negative"
        )
    return violations
