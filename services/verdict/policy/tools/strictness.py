"""Decides whether a policy is stricter than the national notice: if so, here is a person, a test, a place and an
instant to show it; if not, there is none.

The notice gives any negative result, whatever its origin, channel and tube, the force that a local one has, inside the
local window, counted from its report. The local window is the longest that the rules grant one local test of the same
channel and tube (and, where its sampling time is unknown, that take such a test), or their window for the notice.

Whether one test is recognised depends on its kind and its two ages alone (see `ages`), and not on the instant, as long
as one version is in force: so it does not matter how short that is, for a test may be older than the version. Of a
result with a known sampling time the age since sampling may be anything from the age since its report on, so that
windows that count from sampling save nobody: it is recognised at every age that the notice protects if and only if the
limit since the report reaches as far as the local window. Where the sampling time is unknown both ages are one. A test
that was shown by several channels has the best of their limits on both sides, so that none is refused where no single
channel's is. What is left to try are regions, channels, tubes, the rules of each scene and of each version: finitely
many, and all are tried.
"""

from collections.abc import Iterator
from typing import NamedTuple

from msgspec import Struct

from services.common.errors import Text
from services.common.instants import HOUR, Instant
from services.common.regions import divisions
from services.verdict.domain.evidence.values import (
    Channel,
    Check,
    Evidence,
    Origin,
    Record,
    Result,
    Scene,
    Scope,
    Tube,
)
from services.verdict.domain.evidence.values import Kind as RecordKind
from services.verdict.domain.judgement.judge import judge
from services.verdict.domain.policy.compiled import CompiledPolicy, Rules
from services.verdict.domain.policy.policy_set import PolicyInForce, PolicySet
from services.verdict.domain.reasons.wording import region_name, scene_name, when
from services.verdict.domain.verdict import Status, Verdict
from services.verdict.policy.tools.ages import Ages, Kind, Limit, ages, limit, takes

_CHANNELS = {
    Channel.LABORATORY: Text("由检测机构上报", "reported by the laboratory"),
    Channel.NATIONAL_PLATFORM: Text("经国家平台出示", "shown through the national platform"),
    Channel.HEALTH_CODE: Text("以健康码出示", "shown in a health code"),
    Channel.CERTIFICATE: Text("以电子证明出示", "shown by an electronic certificate"),
    Channel.PAPER: Text("以纸质报告出示", "shown on paper"),
}


class CounterExample(Struct, frozen=True):
    """A test the notice recognises at an instant and the policy refuses, with the verdict the engine gave. `window` is
    the local window."""

    record: Record
    origin: str
    scene: int
    at: Instant
    window: Limit
    verdict: Verdict

    def text(self) -> Text:
        """Writes it for people."""
        origin, record = region_name(self.origin), self.record
        channel = _CHANNELS[Channel(record.channel)]
        reported = when(record.reported_at or self.at)
        sampled_zh = "采样时间未知" if record.sampled_at is None else f"{when(record.sampled_at)}采样"
        sampled_en = "sampled at an unknown time" if record.sampled_at is None else f"sampled {when(record.sampled_at)}"
        tube_zh = "单检" if record.tube == Tube.SINGLE else f"{record.tube}混1"
        tube_en = "single tube" if record.tube == Tube.SINGLE else f"pool of {record.tube}"
        place = scene_name(self.scene)
        place_zh, place_en = (f"在{place.zh}", f" in {place.en}") if self.scene else ("", "")
        hours = f"{self.window.length / HOUR:g}"
        status = Status(self.verdict.status).name
        return Text(
            f"反例：某人持{origin.zh}的阴性结果（{tube_zh}，{channel.zh}，{sampled_zh}，{reported}出具报告），"
            f"于{when(self.at)}{place_zh}查验；本地有效期{hours}小时，按通知应予认可，本政策判为 {status}",
            f"counter-example: a person with a negative result from {origin.en} ({tube_en}, {channel.en}, {sampled_en},"
            f" reported {reported}), checked at {when(self.at)} (UTC+8){place_en}, inside the local window of {hours}"
            f" hours: the notice recognises it, this policy answers {status}",
        )


class _Gap(NamedTuple):
    """Ages that the notice protects and the policy refuses. Ordered by what is easiest to tell: the youngest first,
    then the plainest."""

    since_report: int
    since_sampling: int
    undated: bool
    scene: int
    channel: int
    tube: int
    origin: str
    window: Limit


def counter_example(policy: CompiledPolicy, policies: PolicySet) -> CounterExample | None:
    """Returns the shortest counter-example, which the engine has confirmed; None when the policy is nowhere stricter
    than the notice while both are in force."""
    spans = policies.spans(policy.ref.region)
    for position, (begins, in_force) in enumerate(spans):
        if in_force.policy is not policy or not in_force.binds:
            continue
        ends = spans[position + 1][0] if position + 1 < len(spans) else None
        gap = min(_gaps(in_force), default=None)
        if gap is not None:
            return _shown(gap, policies, policy.ref.region, begins, ends)
    return None


def _gaps(in_force: PolicyInForce) -> Iterator[_Gap]:
    region = in_force.policy.ref.region
    for scene, rules in _asking(in_force):
        origins = _representatives(rules, region)
        for channel in Channel:
            for tube in Tube:
                for origin in origins:
                    kind = Kind(origin, channel, tube)
                    granted = ages(rules, kind, notice=True)
                    for undated in (False, True):
                        window = _local_window(rules, Kind(region, channel, tube), undated=undated)
                        gap = _gap(granted, window, undated=undated)
                        if gap is not None:
                            yield _Gap(*gap, undated, scene, channel, tube, _plainest(origin, region), window)


def _representatives(rules: Rules, region: str) -> list[str]:
    """Returns one region of each kind: those that the same clauses take are taken alike. Another stands for its kind
    rather than the policy's own."""
    first: dict[tuple[bool, ...], str] = {}
    for origin in sorted(divisions(), key=lambda code: (code == region, code)):
        taken_by = tuple(clause.origins is None or origin in clause.origins for clause in rules.clauses)
        first.setdefault(taken_by, origin)
    return list(first.values())


def _plainest(origin: str, region: str) -> str:
    # From elsewhere first: that is what the notice is about. "9" sorts behind every code.
    return origin if origin != region else f"9{origin}"


def _asking(in_force: PolicyInForce) -> Iterator[tuple[int, Rules]]:
    """Yields each set of rules that asks for something, with a scene in which it judges."""
    seen: set[int] = set()
    for scene in Scene:
        rules = in_force.policy.rules(scene)
        if in_force.asks(scene) and id(rules) not in seen:
            seen.add(id(rules))
            yield scene, rules


def _local_window(rules: Rules, local: Kind, *, undated: bool) -> Limit:
    clauses = [
        clause
        for clause in rules.clauses
        if clause.result == Result.NEGATIVE
        and clause.tests == 1
        and takes(clause, local)
        and not (undated and clause.window.sampling_required)
    ]
    return max(limit(clause) for clause in (rules.notice_rule.clause, *clauses))


def _gap(granted: Ages, window: Limit, *, undated: bool) -> tuple[int, int] | None:
    """Returns the least ages that are refused within the window; None when there are none."""
    if undated:
        since_report = granted.undated.first_outside
        return (since_report, since_report) if window.holds(since_report) else None
    since_report = granted.reported.first_outside
    if not window.holds(since_report):
        return None
    return since_report, max(since_report, granted.sampled.first_outside)


def _shown(gap: _Gap, policies: PolicySet, region: str, begins: Instant, ends: Instant | None) -> CounterExample:
    origin = gap.origin[-6:]
    # Reported while the version is in force, where it is in force for long enough.
    later = begins + gap.since_report
    at = Instant(later if ends is None or later < ends else begins)
    kept_here = gap.channel != Channel.LABORATORY and origin != region
    record = Record(
        region=region if kept_here else origin,
        source_id="example",
        kind=RecordKind.RESULT,
        result=Result.NEGATIVE,
        tube=gap.tube,
        channel=gap.channel,
        laboratory="example",
        sampled_at=None if gap.undated else Instant(at - gap.since_sampling),
        reported_at=Instant(at - gap.since_report),
        origin=Origin(origin) if kept_here else None,
    )
    evidence = Evidence(region=region, scope=Scope.NATIONAL, records=(record,))
    verdict = judge(evidence, policies, at, at, Check(gap.scene))
    if verdict.status in (Status.RECOGNISED, Status.NOT_REQUIRED):
        raise RuntimeError(f"the engine recognises what {region}'s policy was decided to refuse: {record}")
    return CounterExample(record, origin, gap.scene, at, gap.window, verdict)
