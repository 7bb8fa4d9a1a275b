"""Whether a submission or an amendment can be right at all: the combinations of kind, times, result and origin."""

from google.protobuf.timestamp_pb2 import Timestamp
from hutong.records.v1.record_pb2 import Channel, Origin, RecordContent, RecordKind, TestResult, Tube

from services.common.errors import Violation
from services.common.instants import MINUTE, Instant, from_timestamp
from services.records.domain import rules
from services.records.domain.rules import wrong

DEFAULT_SKEW = 10 * MINUTE
"""How far a laboratory's clock may be ahead before its times count as lying in the future, in microseconds."""

# Looked up once: an enum's wrapper finds its numbers by name at every access.
_SAMPLING = RecordKind.RECORD_KIND_SAMPLING
_RESULT = RecordKind.RECORD_KIND_RESULT

_kind = rules.enumerated(RecordKind.values(), "KIND", "记录类型", "kind of record")
_result = rules.enumerated(TestResult.values(), "RESULT", "检测结果", "result")
_tube = rules.enumerated(Tube.values(), "TUBE", "单检或混检", "tube")
_channel = rules.enumerated(Channel.values(), "CHANNEL", "来源渠道", "channel")


def _time(value: Timestamp, latest: Instant, field: str, what: str, zh: str) -> list[Violation]:
    return rules.instant(value, field, f"{what}_AT") or rules.not_after(value, latest, field, f"{what}_IN_FUTURE", zh)


def _times(content: RecordContent, latest: Instant, at: str) -> list[Violation]:
    found: list[Violation] = []
    sampled, reported = content.HasField("sampled_at"), content.HasField("reported_at")
    if sampled:
        found += _time(content.sampled_at, latest, f"{at}sampled_at", "SAMPLED", "采样时间")
    elif content.kind == _SAMPLING:
        found += wrong(
            f"{at}sampled_at",
            "SAMPLED_AT_REQUIRED",
            "采样记录须有采样时间",
            "A sampling record needs its sampling time",
        )
    if content.kind == _SAMPLING and reported:
        found += wrong(
            f"{at}reported_at",
            "REPORTED_AT_NOT_ALLOWED",
            "采样记录不应有报告时间",
            "A sampling record has no report yet",
        )
    elif reported:
        late = _time(content.reported_at, latest, f"{at}reported_at", "REPORTED", "报告时间")
        if not late and sampled and from_timestamp(content.reported_at) < from_timestamp(content.sampled_at):
            late = wrong(
                f"{at}reported_at",
                "REPORTED_BEFORE_SAMPLED",
                "报告时间不能早于采样时间",
                "A report cannot be issued before its sample was taken",
            )
        found += late
    elif content.kind == _RESULT:
        found += wrong(
            f"{at}reported_at", "REPORTED_AT_REQUIRED", "检测报告须有报告时间", "A result needs the time of its report"
        )
    return found


def _outcome(content: RecordContent, at: str) -> list[Violation]:
    if content.kind == _RESULT:
        return _result(content.result, f"{at}result")
    if content.kind == _SAMPLING and content.result:
        return wrong(f"{at}result", "RESULT_NOT_ALLOWED", "采样记录不应有结果", "A sampling record has no result")
    return []


def _origin(origin: Origin, region: str, at: str) -> list[Violation]:
    found = rules.region(origin.region, f"{at}region")
    if not found and origin.region == region:
        found = wrong(
            f"{at}region",
            "ORIGIN_NOT_ELSEWHERE",
            "来源地区应不同于保存地区",
            "A copy comes from another region than the one that keeps it",
        )
    if origin.source_id:
        found += rules.source_id(origin.source_id, f"{at}source_id")
    if origin.revision < 0:
        found += wrong(f"{at}revision", "ORIGIN_REVISION", "来源版本不能为负", "A revision is not negative")
    return found


def content_violations(
    content: RecordContent, region: str, now: Instant, skew: int = DEFAULT_SKEW, field: str = "content"
) -> list[Violation]:
    """Everything wrong with a content that `region` is to keep; `skew` in microseconds, `field` its path."""
    at = f"{field}."
    found = _kind(content.kind, f"{at}kind")
    found += _times(content, Instant(now + skew), at)
    found += _outcome(content, at)
    found += _tube(content.tube, f"{at}tube")
    found += rules.laboratory_id(content.laboratory, f"{at}laboratory")
    found += rules.site(content.site, f"{at}site")
    found += _channel(content.channel, f"{at}channel")
    if content.HasField("origin"):
        found += _origin(content.origin, region, f"{at}origin.")
    return found
