"""Rules for the combinations of kind, times, result, tube and channel of a record, wherever it comes in.

Reasons: KIND_, RESULT_, TUBE_ and CHANNEL_REQUIRED and _UNKNOWN; SAMPLED_AT_REQUIRED, REPORTED_AT_REQUIRED,
RESULT_NOT_ALLOWED and REPORTED_AT_NOT_ALLOWED by the kind; INSTANT_RANGE, REPORTED_BEFORE_SAMPLED, SAMPLED_IN_FUTURE,
REPORTED_IN_FUTURE.
"""

from google.protobuf.timestamp_pb2 import Timestamp
from hutong.records.v1.record_pb2 import Channel, RecordContent, RecordKind, TestResult, Tube

from services.common.errors import Violation
from services.common.instants import Instant, from_timestamp
from services.common.requests.fields import enumerated
from services.common.requests.instants import instant
from services.common.requests.violations import violation

# Looked up once: an enum's wrapper finds its numbers by name at every access.
_SAMPLING = RecordKind.RECORD_KIND_SAMPLING
_RESULT = RecordKind.RECORD_KIND_RESULT

_kind = enumerated(RecordKind.values(), "KIND", "记录类型", "kind of record")
_result = enumerated(TestResult.values(), "RESULT", "检测结果", "result")
_tube = enumerated(Tube.values(), "TUBE", "单检或混检", "tube")
_channel = enumerated(Channel.values(), "CHANNEL", "来源渠道", "channel")


def content(record: RecordContent, field: str, latest: Instant | None = None) -> list[Violation]:
    """Checks a record's content, but for its laboratory, site and origin. `latest` is the instant after which its times
    count as lying in the future; without one they are not checked for that."""
    at = f"{field}."
    return (
        _kind(record.kind, f"{at}kind")
        + _times(record, latest, at)
        + _outcome(record, at)
        + _tube(record.tube, f"{at}tube")
        + _channel(record.channel, f"{at}channel")
    )


def _times(record: RecordContent, latest: Instant | None, at: str) -> list[Violation]:
    violations: list[Violation] = []
    sampled, reported = record.HasField("sampled_at"), record.HasField("reported_at")
    if sampled:
        violations += _time(record.sampled_at, latest, f"{at}sampled_at", "SAMPLED", "采样时间")
    elif record.kind == _SAMPLING:
        violations += violation(
            f"{at}sampled_at",
            "SAMPLED_AT_REQUIRED",
            "采样记录须有采样时间",
            "A sampling record needs its sampling time",
        )
    if record.kind == _SAMPLING and reported:
        violations += violation(
            f"{at}reported_at",
            "REPORTED_AT_NOT_ALLOWED",
            "采样记录不应有报告时间",
            "A sampling record has no report yet",
        )
    elif reported:
        late = _time(record.reported_at, latest, f"{at}reported_at", "REPORTED", "报告时间")
        if not late and sampled and from_timestamp(record.reported_at) < from_timestamp(record.sampled_at):
            late = violation(
                f"{at}reported_at",
                "REPORTED_BEFORE_SAMPLED",
                "报告时间不能早于采样时间",
                "A report cannot be issued before its sample was taken",
            )
        violations += late
    elif record.kind == _RESULT:
        violations += violation(
            f"{at}reported_at", "REPORTED_AT_REQUIRED", "检测报告须有报告时间", "A result needs the time of its report"
        )
    return violations


def _time(value: Timestamp, latest: Instant | None, field: str, what: str, zh: str) -> list[Violation]:
    violations = instant(value, field)
    if not violations and latest is not None and from_timestamp(value) > latest:
        return violation(field, f"{what}_IN_FUTURE", f"{zh}不能在将来", "The time lies in the future")
    return violations


def _outcome(record: RecordContent, at: str) -> list[Violation]:
    if record.kind == _RESULT:
        return _result(record.result, f"{at}result")
    if record.kind == _SAMPLING and record.result:
        return violation(f"{at}result", "RESULT_NOT_ALLOWED", "采样记录不应有结果", "A sampling record has no result")
    return []
