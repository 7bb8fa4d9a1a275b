"""A health code."""

from collections.abc import Mapping
from typing import Annotated, cast

import msgspec
from hutong.common.v1.subject_pb2 import Purpose
from hutong.gateway.v1.health_code_service_pb2 import Freshness
from hutong.verdict.v1 import verdict_pb2

from gateway.application.purpose_views import narrowed, sees
from gateway.codes.codes import Shown
from gateway.http.fields import RegionCode, described, instant, one_of
from gateway.http.names import COLOUR, FRESHNESS, NOTICE, SCENE, SCOPE, STATUS
from gateway.http.views.answer import Answer, Text, encode, maybe_instant, text
from gateway.http.views.evidence import Coverage, EvidenceRef, TestRecord, coverage, evidence_ref, test_record


class Ground(Answer, frozen=True):
    """认可的依据，或不利的事实。 Why a test is recognised, or what stands against the person."""

    clause: Annotated[
        str, described("规则条款，或 NATIONAL_NOTICE 等。 The clause of the policy, or NATIONAL_NOTICE and the like.")
    ]
    text: Text
    evidence: Annotated[list[EvidenceRef], described("所依据的证据。 What it rests on.")]
    valid_until: Annotated[str, instant("到期时间。 When it ends by time alone.")] | None


class Reason(Answer, frozen=True):
    """为何不足，以及怎样才够。 What fell short, and what would have been enough."""

    code: Annotated[str, described("稳定代码，如 WINDOW_EXPIRED。 A stable code.")]
    clause: Annotated[str, described("未满足的条款。 The clause not met.")] | None
    evidence: EvidenceRef | None
    text: Annotated[
        Text | None, described("与前一条原因文字相同时为 null。 Null where a reason before it says the same words.")
    ]
    ended_at: Annotated[str, instant("有效期届满的时刻。 When the window of the evidence ended.")] | None


class ReasonCount(Answer, frozen=True):
    """同类原因另有多少条，均为更早的证据。 How many more reasons of a kind there are, about older evidence."""

    code: Annotated[str, described("稳定代码。 A stable code.")]
    clause: Annotated[str, described("未满足的条款。 The clause not met.")] | None
    count: Annotated[int, described("条数。 How many.")]
    at_least: Annotated[bool, described("条数为下限，可能更多。 The count is the least that there are.")]
    text: Annotated[
        Text | None, described("仅用于未逐条判定的更早的检测。 Only of older tests that were not judged one by one.")
    ]


class Policy(Answer, frozen=True):
    """所依据的规则。 The policy that judged."""

    region: Annotated[str, described("规则所属地区。 The region whose policy it is.")]
    id: Annotated[str, described("规则编号。 The policy's id.")]
    effective_from: Annotated[str, instant("生效时间。 When it came into force.")] | None
    content_hash: Annotated[str, described("规则内容的 SHA-256，十六进制。 SHA-256 of its canonical content, in hex.")]


class HealthCode(Answer, frozen=True):
    """健康码。 A code."""

    freshness: Annotated[
        str,
        one_of(
            FRESHNESS,
            "COMPUTED 现算, CACHED 缓存, STALE 陈旧：服务未应答，显示仍在有效期内的最近结论。"
            " STALE: the services did not answer; the last verdict, still valid."
            " STALE_SOURCE 有地区失联，其后的检测未计入，见 coverage。"
            " STALE_SOURCE: a region cannot be reached, and what it recorded since is not in it; see coverage.",
        ),
    ]
    age: Annotated[int, described("陈旧的秒数，仅 STALE 时有。 Seconds since it was computed; only when STALE.")] | None
    region: RegionCode
    scope: Annotated[str, one_of(SCOPE, "所用范围。 The scope that applied.")]
    at: Annotated[str, instant("判定的时刻。 The instant judged.")] | None
    status: Annotated[str, one_of(STATUS, "结论，各地同义。 The answer, the same words in every region.")]
    colour: Annotated[str, one_of(COLOUR, "本地显示的颜色。 What the region shows for it.")]
    days_since_test: (
        Annotated[int, described("核酸天数，采样日为 0。 Days since the test; the sampling day is 0.")] | None
    )
    valid_until: Annotated[str, instant("认可到期。 When recognition ends by time alone.")] | None
    fresh_until: (
        Annotated[
            str,
            instant("结论最早可能随时间改变的时刻。 The next instant at which the answer can change by time alone."),
        ]
        | None
    )
    grounds: Annotated[list[Ground], described("依据。 What the answer rests on.")]
    reasons: Annotated[
        list[Reason], described("不足之处，每条款最新三条。 What fell short, the newest three for each clause.")
    ]
    further_reasons: Annotated[list[ReasonCount], described("其余不足之处的条数。 What fell short besides, counted.")]
    coverage: Annotated[list[Coverage], described("问过谁，谁未应答。 Who was asked, and who did not answer.")]
    policy: Policy
    computed_at: Annotated[str, instant("判定所依据信息的时刻。 The instant of the knowledge judged.")] | None
    notice: (
        Annotated[
            str,
            one_of(
                NOTICE, "全国通知的作用：ENFORCED 因其认可, REFUSAL 违反而未认可。 How the national notice came in."
            ),
        ]
        | None
    )
    national_would_recognise: Annotated[
        bool,
        described("省内库不认可时，全国库是否会认可。 With scope LOCAL: whether NATIONAL would recognise."),
    ]
    days_evidence: EvidenceRef | None
    newest_test: TestRecord | None
    scene: Annotated[str, one_of(SCENE, "查验的场所。 The scene that was asked about.")] | None
    judged_by_scene_rules: Annotated[
        bool,
        described("是否按该场所的规则判定。 Whether the policy's rules for that scene judged, or its general rules."),
    ]


_VERDICT = verdict_pb2.Verdict.DESCRIPTOR.full_name
_OF_THE_ANSWER = ("freshness", "age")
"""The fields that are about an answer and not about a person: every purpose sees them."""


def _narrowed(purpose: Purpose.ValueType, name: str, description: str) -> type[Answer]:
    """Returns the code with the fields that a purpose sees and no others."""
    seen = [
        (field.name, field.type)
        for field in msgspec.structs.fields(HealthCode)
        if field.name in _OF_THE_ANSWER or sees(purpose, _VERDICT, field.name)
    ]
    kind = msgspec.defstruct(
        name,
        seen,
        bases=(Answer,),
        module=__name__,
        namespace={"__doc__": description},
        rename="camel",
        forbid_unknown_fields=True,
        frozen=True,
        gc=False,
    )
    return cast(type[Answer], kind)


NARROWED: Mapping[Purpose.ValueType, type[Answer]] = {
    Purpose.PURPOSE_VENUE_CHECK: _narrowed(
        Purpose.PURPOSE_VENUE_CHECK, "VenueCode", "场所查验所见。 What a venue sees of a code (VENUE_CHECK)."
    ),
    Purpose.PURPOSE_SUPERVISION: _narrowed(
        Purpose.PURPOSE_SUPERVISION, "SupervisedCode", "监督所见。 What supervision sees of a code (SUPERVISION)."
    ),
}
"""The codes of purposes that do not see all of one."""


def _ground(message: verdict_pb2.Ground) -> Ground:
    return Ground(
        message.clause,
        text(message.text),
        [evidence_ref(ref) for ref in message.evidence],
        maybe_instant(message, "valid_until"),
    )


def _reason(message: verdict_pb2.Reason) -> Reason:
    evidence = evidence_ref(message.evidence) if message.HasField("evidence") else None
    words = text(message.text) if message.HasField("text") else None
    return Reason(message.code, message.clause or None, evidence, words, maybe_instant(message, "ended_at"))


def _further(message: verdict_pb2.ReasonCount) -> ReasonCount:
    words = text(message.text) if message.HasField("text") else None
    return ReasonCount(message.code, message.clause or None, message.count, message.at_least, words)


def _policy(message: verdict_pb2.PolicyRef) -> Policy:
    return Policy(
        message.region, message.policy_id, maybe_instant(message, "effective_from"), message.content_hash.hex()
    )


def health_code(message: verdict_pb2.Verdict, freshness: str = "COMPUTED", age: int | None = None) -> HealthCode:
    """Shows a verdict; `age` is in seconds."""
    return HealthCode(
        freshness=freshness,
        age=age,
        region=message.region,
        scope=SCOPE[message.scope],
        at=maybe_instant(message, "at"),
        status=STATUS[message.status],
        colour=COLOUR[message.colour],
        days_since_test=message.days_since_test if message.HasField("days_since_test") else None,
        valid_until=maybe_instant(message, "valid_until"),
        fresh_until=maybe_instant(message, "fresh_until"),
        grounds=[_ground(ground) for ground in message.grounds],
        reasons=[_reason(reason) for reason in message.reasons],
        further_reasons=[_further(more) for more in message.further_reasons],
        coverage=coverage(message.coverage),
        policy=_policy(message.policy),
        computed_at=maybe_instant(message, "computed_at"),
        notice=NOTICE.maybe(message.notice),
        national_would_recognise=message.national_would_recognise,
        days_evidence=evidence_ref(message.days_evidence) if message.HasField("days_evidence") else None,
        newest_test=test_record(message.newest_test) if message.HasField("newest_test") else None,
        scene=SCENE.maybe(message.scene),
        judged_by_scene_rules=message.judged_by_scene_rules,
    )


_CACHED, _COMPUTED = Freshness.FRESHNESS_CACHED, Freshness.FRESHNESS_COMPUTED
_STALE_SOURCE = Freshness.FRESHNESS_STALE_SOURCE
# A cached code is bytes kept ready. Freshness and age come first, being all that differs from one showing to another.
_COMPUTED_START = b'{"freshness":"COMPUTED","age":null,'
_CACHED_START = b'{"freshness":"CACHED","age":null,'
_STALE_SOURCE_START = b'{"freshness":"STALE_SOURCE","age":null,'


def code_body(message: verdict_pb2.Verdict) -> bytes:
    """Writes the JSON of a verdict's code but for its start: the opening brace, freshness and age. See `code_start`."""
    return encode(health_code(message))[len(_COMPUTED_START) :]


def code_start(shown: Shown) -> bytes:
    """Writes the start of a code's JSON; its entry's body is the rest."""
    if shown.freshness == _CACHED:
        return _CACHED_START
    if shown.freshness == _COMPUTED:
        return _COMPUTED_START
    if shown.freshness == _STALE_SOURCE:
        return _STALE_SOURCE_START
    return b'{"freshness":"STALE","age":%d,' % shown.age


def code_json(shown: Shown, purpose: Purpose.ValueType) -> bytes:
    """Writes the JSON of a code as its purpose sees it."""
    return b"".join(code_pieces(shown, purpose))


def code_pieces(shown: Shown, purpose: Purpose.ValueType) -> tuple[bytes, bytes]:
    """Writes the JSON of a code as its purpose sees it, in two pieces: the second is bytes kept ready."""
    kind = NARROWED.get(purpose)
    if kind is None:
        return code_start(shown), shown.entry.body
    message = narrowed(shown.message(), purpose)
    age = shown.age if shown.freshness == Freshness.FRESHNESS_STALE else None
    whole = health_code(message.verdict, FRESHNESS[message.freshness], age)
    return encode(kind(*(getattr(whole, name) for name in kind.__struct_fields__))), b""
