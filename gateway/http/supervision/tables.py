"""The tables of supervision. A table's rows are structs, of which the JSON and the columns of the CSV are made."""

# ruff: noqa: E501  # a text in two languages is one text

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Annotated, TypeAlias

import msgspec
from hutong.common.v1.subject_pb2 import Purpose
from hutong.gateway.v1 import supervision_service_pb2 as pb
from hutong.records.v1.conflict_service_pb2 import Conflict as ConflictMessage
from hutong.records.v1.correction_service_pb2 import RequestResultResponse
from hutong.records.v1.laboratory_quality_service_pb2 import LaboratoryQuality, OverdueSample
from hutong.records.v1.record_pb2 import RecordContent
from hutong.verdict.v1.policy_service_pb2 import StricterPolicy
from hutong.verdict.v1.verdict_pb2 import Verdict

from gateway.application.purpose_views import narrowed
from gateway.http.fields import RegionCode, described, instant, one_of
from gateway.http.names import CORRECTION_ANSWER, NOTICE, RESULT, SCENE, SCOPE, SETTLEMENT, STATUS
from gateway.http.views import answer
from gateway.http.views.answer import Answer, Text
from gateway.http.views.code import NARROWED, health_code

Token: TypeAlias = str | None
_TOKEN = described("末页为 null。 Null on the last page.")
_DAY = described("日历日（UTC+8）。 The calendar day in UTC+8.", examples=["2022-08-05"])


class FiguresRow(Answer, frozen=True):
    """某地某场所某日各种结论的人数：同一人同一结论一日只计一次。 How many people had which answer at one kind of place on one day; each counts once a day."""

    day: Annotated[str, _DAY]
    region: RegionCode
    scene: (
        Annotated[str, one_of(SCENE, "查验的场所；健康码本身为 null。 The place that asked; null for the code itself.")]
        | None
    )
    recognised: Annotated[int, described("按本地规则认可。 Recognised by the region's own rules.")]
    recognised_by_notice: Annotated[int, described("仅因全国通知而认可。 Recognised by the national notice alone.")]
    refused: Annotated[int, described("未认可，通知亦无异议。 Not recognised, where the notice asks nothing else.")]
    refused_against_notice: Annotated[int, described("违反通知而未认可。 Refused although the notice binds.")]
    undetermined: Annotated[int, described("有来源未应答，无法判定。 Not to be told, because a source did not answer.")]
    repeat_tests_avoided: Annotated[
        int,
        described(
            "免于重复检测：外地检测在本地获认可，每次检测在一地只计一次。 Tests from elsewhere that were recognised here, each once in a region."
        ),
    ]


class FiguresTable(Answer, frozen=True):
    """一页统计，按日、地区、场所。 A page of figures, by day, region and place."""

    figures: list[FiguresRow]
    next_page_token: Annotated[str, _TOKEN] | None


class RefusalRow(Answer, frozen=True):
    """一次未认可，不含其人。 A refusal, without the person."""

    refusal_id: Annotated[str, described("编号。 Its id.")]
    region: RegionCode
    scene: Annotated[str, one_of(SCENE, "查验的场所。 The place that asked.")] | None
    scope: Annotated[str, one_of(SCOPE, "所用范围。 The scope that applied.")]
    status: Annotated[str, one_of(STATUS, "结论。 The answer.")]
    notice: Annotated[str, one_of(NOTICE, "REFUSAL 违反通知。 REFUSAL: although the notice binds.")] | None
    at: Annotated[str, instant("判定的时刻。 The instant judged.")]
    known_at: Annotated[str, instant("所知的时刻。 The instant of the knowledge judged.")]
    first_shown_at: Annotated[str, instant("首次出示。 When it was first shown.")]
    policy_id: Annotated[str, described("所依据的规则。 The policy that judged.")]
    policy_hash: Annotated[str, described("规则内容的 SHA-256。 SHA-256 of its content.")]
    reasons: Annotated[list[str], described("不足之处的代码。 Codes of what fell short.")]
    silent_sources: Annotated[list[str], described("当时未应答的来源。 Sources that did not answer then.")]


class RefusalsTable(Answer, frozen=True):
    """一页未认可，新者在前。 A page of refusals, newest first."""

    refusals: list[RefusalRow]
    next_page_token: Annotated[str, _TOKEN] | None


_SUPERVISED = NARROWED[Purpose.PURPOSE_SUPERVISION]


class Reopened(Answer, frozen=True):
    """按当时所知重新判定的一次未认可。 A refusal, judged again as known then."""

    refusal: RefusalRow
    code: Annotated[_SUPERVISED, described("重新判定的结果。 What is judged now of what was known then.")]  # type: ignore[valid-type]  # a struct that is made of another
    same: Annotated[
        bool, described("与当时的结论、规则、原因是否一致。 Whether answer, policy and reasons are the same.")
    ]


class LaboratoryRow(Answer, frozen=True):
    """某机构某采样日的质量。 How well a laboratory worked on a day of sampling."""

    day: Annotated[str, _DAY]
    laboratory: Annotated[str, described("检测机构。 The laboratory.")]
    records: Annotated[int, described("记录。 Records.")]
    reported: Annotated[int, described("有结果。 With a result.")]
    waiting: Annotated[int, described("待结果。 Without one.")]
    overdue: Annotated[int, described("逾期。 Overdue.")]
    median_hours: Annotated[float, described("出报告时效中位数，小时。 The median turnaround, in hours.")] | None
    p95_hours: Annotated[float, described("95% 的时效，小时。 The same for 95 of 100.")] | None
    amended_share: Annotated[float, described("修订率。 The share that was amended.")]
    retracted_share: Annotated[float, described("撤回率。 The share that was withdrawn.")]
    positive_share: Annotated[float, described("阳性率。 The share of results that were positive.")]
    discordant_pairs: Annotated[int, described("矛盾结果对数。 Pairs of results that contradict each other.")]


class LaboratoriesTable(Answer, frozen=True):
    """一页机构质量。 A page of laboratories' figures."""

    laboratories: list[LaboratoryRow]
    known_at: Annotated[str, instant("统计所截止的时刻。 The instant of the knowledge these rest on.")]
    next_page_token: Annotated[str, _TOKEN] | None


class OverdueRow(Answer, frozen=True):
    """逾期未出结果的样本。 A sample whose result should be there."""

    region: RegionCode
    source_id: Annotated[str, described("样本编号。 The sample's number.")]
    laboratory: Annotated[str, described("应致电的机构。 Whom to call.")]
    sampled_at: Annotated[str, instant("采样时间。 When it was taken.")]
    overdue_hours: Annotated[float, described("已逾期小时数。 For how many hours.")]
    contact: Annotated[str, described("机构电话。 The laboratory's telephone.")] | None
    asked_at: (
        Annotated[str, instant("最近一次催报；国家库不知。 When it was asked last; the nation's store does not know.")]
        | None
    )
    answer: Annotated[str, one_of(CORRECTION_ANSWER, "机构的答复。 What the laboratory answered.")] | None
    answer_text: Annotated[str, described("答复的内容。 What it says.")] | None


class OverdueTable(Answer, frozen=True):
    """一页逾期样本，旧者在前。 A page of overdue samples, oldest first."""

    samples: list[OverdueRow]
    next_page_token: Annotated[str, _TOKEN] | None


class ConflictRow(Answer, frozen=True):
    """待处理的冲突，不含其人。 A conflict that waits for someone, without the person."""

    conflict_id: Annotated[str, described("编号。 Its id.")]
    region: RegionCode
    source_id: Annotated[str, described("样本编号。 The sample's number.")]
    reason: Annotated[str, described("为何不能采纳，如 RECORD_CONFLICT。 Why it could not be taken.")]
    stored_result: Annotated[str, one_of(RESULT, "已存的结果。 The result that is stored.")] | None
    stored_at: Annotated[str, instant("已存的采样或报告时间。 When it was sampled or reported, as stored.")] | None
    offered_result: Annotated[str, one_of(RESULT, "所报的结果。 The result that was offered.")] | None
    offered_at: Annotated[str, instant("所报的采样或报告时间。 When it was sampled or reported, as offered.")] | None
    laboratory: Annotated[str, described("检测机构。 The laboratory.")]
    first_offered_at: Annotated[str, instant("首次报来。 When it was first offered.")]
    times: Annotated[int, described("报来次数。 How often.")]


class ConflictsTable(Answer, frozen=True):
    """一页冲突，旧者在前。 A page of conflicts, oldest first."""

    conflicts: list[ConflictRow]
    next_page_token: Annotated[str, _TOKEN] | None


class Settled(Answer, frozen=True):
    """处理后的冲突。 A conflict as it is settled."""

    conflict: ConflictRow
    settlement: Annotated[str, one_of(SETTLEMENT, "如何处理。 How.")]
    cause: Annotated[str, described("原因。 Why.")]
    settled_by: Annotated[str, described("处理者。 By whom.")]
    settled_at: Annotated[str, instant("处理的时刻。 When.")]


class Inquired(Answer, frozen=True):
    """已向检测机构催报。 What a laboratory was asked, as it is now."""

    asked_at: Annotated[str, instant("催报的时刻。 When it was asked.")]
    answer: Annotated[str, one_of(CORRECTION_ANSWER, "机构的答复。 What the laboratory answered.")] | None
    answer_text: Annotated[str, described("答复的内容。 What it says.")] | None
    created: Annotated[bool, described("已在等待答复则为 false。 False when it was asked already.")]


class PolicyRow(Answer, frozen=True):
    """严于通知的规则，及其反例。 A policy that is stricter than the notice, and a case that shows it."""

    region: RegionCode
    policy_id: Annotated[str, described("规则编号。 The policy's id.")]
    title: Text
    effective_from: Annotated[str, instant("生效时间。 When it comes into force.")]
    declared: Annotated[
        bool, described("规则自陈暂不执行通知。 The policy says itself that it does not carry the notice out yet.")
    ]
    counter_example: Text


class PoliciesTable(Answer, frozen=True):
    """严于通知的规则。 The policies that are stricter than the notice."""

    policies: list[PolicyRow]


Table: TypeAlias = FiguresTable | RefusalsTable | LaboratoriesTable | OverdueTable | ConflictsTable | PoliciesTable


def figures_row(one: pb.RecognitionFigures) -> FiguresRow:
    """Shows the figures of one place and day."""
    return FiguresRow(
        one.day,
        one.region,
        SCENE.maybe(one.scene),
        one.recognised,
        one.recognised_by_notice,
        one.refused,
        one.refused_against_notice,
        one.undetermined,
        one.repeat_tests_avoided,
    )


def refusal_row(one: pb.Refusal) -> RefusalRow:
    """Shows a refusal."""
    return RefusalRow(
        one.refusal_id,
        one.region,
        SCENE.maybe(one.scene),
        SCOPE[one.scope],
        STATUS[one.status],
        NOTICE.maybe(one.notice),
        answer.instant(one.at),
        answer.instant(one.known_at),
        answer.instant(one.first_shown_at),
        one.policy.policy_id,
        one.policy.content_hash.hex(),
        list(one.reasons),
        list(one.silent_sources),
    )


def reopened(response: pb.ReopenRefusalResponse) -> Reopened:
    """Shows a refusal that was judged again, as supervision sees a code."""
    return Reopened(refusal_row(response.refusal), _code(response.verdict), response.same)


def _code(verdict: Verdict) -> Answer:
    whole = health_code(narrowed(verdict, Purpose.PURPOSE_SUPERVISION))
    return _SUPERVISED(*(getattr(whole, name) for name in _SUPERVISED.__struct_fields__))


def laboratory_row(one: LaboratoryQuality) -> LaboratoryRow:
    """Shows a laboratory's day."""
    return LaboratoryRow(
        one.day,
        one.laboratory,
        one.records,
        one.reported,
        one.waiting,
        one.overdue,
        round(one.turnaround_median_seconds / 3600, 1) if one.HasField("turnaround_median_seconds") else None,
        round(one.turnaround_p95_seconds / 3600, 1) if one.HasField("turnaround_p95_seconds") else None,
        round(one.amendment_rate, 4),
        round(one.retraction_rate, 4),
        round(one.positive_rate, 4),
        one.discordant_pairs,
    )


def overdue_row(one: OverdueSample) -> OverdueRow:
    """Shows an overdue sample."""
    sampled = answer.instant(one.sampled_at)
    asked = one.inquiry
    return OverdueRow(
        one.region,
        one.source_id,
        one.laboratory,
        sampled,
        round(one.overdue_by_hours, 1),
        one.contact or None,
        answer.maybe_instant(asked, "asked_at"),
        CORRECTION_ANSWER.maybe(asked.answer),
        asked.answer_text or None,
    )


def inquired(response: RequestResultResponse) -> Inquired:
    """Shows what a laboratory was asked."""
    asked = response.inquiry
    return Inquired(
        answer.instant(asked.asked_at),
        CORRECTION_ANSWER.maybe(asked.answer),
        asked.answer_text or None,
        response.created,
    )


def _placed(content: RecordContent) -> str | None:
    return answer.maybe_instant(content, "reported_at") or answer.maybe_instant(content, "sampled_at")


def conflict_row(one: ConflictMessage) -> ConflictRow:
    """Shows a conflict; whose test was offered is left out."""
    return ConflictRow(
        one.conflict_id,
        one.region,
        one.source_id,
        one.reason,
        RESULT.maybe(one.stored.result),
        _placed(one.stored),
        RESULT.maybe(one.offered.result),
        _placed(one.offered),
        one.offered.laboratory,
        answer.instant(one.first_offered_at),
        one.times,
    )


def settled(one: ConflictMessage) -> Settled:
    """Shows a conflict as it was settled."""
    return Settled(
        conflict_row(one), SETTLEMENT[one.settlement], one.cause, one.settled_by, answer.instant(one.settled_at)
    )


def policy_row(one: StricterPolicy) -> PolicyRow:
    """Shows a policy and its counter-example."""
    policy = one.policy
    return PolicyRow(
        policy.region,
        policy.policy_id,
        answer.text(policy.title),
        answer.instant(policy.effective_from),
        one.declared,
        answer.text(one.counter_example),
    )


def csv_of(kind: type[Answer], rows: Iterable[Answer]) -> bytes:
    """Writes rows of a kind as CSV (RFC 4180, UTF-8 with a byte order mark, for spreadsheets): a column for each field,
    two for a text. A value that a spreadsheet would take for a formula has an apostrophe before it."""
    written = io.StringIO()
    writer = csv.writer(written)
    fields = msgspec.structs.fields(kind)
    header: list[str] = []
    for field in fields:
        texts = field.type is Text
        header += [f"{field.encode_name}Zh", f"{field.encode_name}En"] if texts else [field.encode_name]
    writer.writerow(header)
    for row in rows:
        cells: list[str] = []
        for field in fields:
            cells += _cells(getattr(row, field.name))
        writer.writerow(cells)
    return b"\xef\xbb\xbf" + written.getvalue().encode()


def _cells(value: object) -> Sequence[str]:
    if isinstance(value, Text):
        return [_safe(value.zh), _safe(value.en)]
    if value is None:
        return [""]
    if isinstance(value, bool):
        return ["true" if value else "false"]
    if isinstance(value, int | float):
        return [str(value)]
    if isinstance(value, list):
        return [_safe(" ".join(map(str, value)))]
    return [_safe(str(value))]


def _safe(text: str) -> str:
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
