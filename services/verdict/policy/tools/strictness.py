"""Is a policy stricter than the national notice? If so, here is a person, a test and an instant to show it.

The notice gives any negative result, whatever its origin, channel and tube, the force a local one has, inside the local
window, counted from its report. The local window is the longest the policy grants one local test, or its own notice
window, whichever is longer. Candidates are built at the edges of that window; each is put to the engine, and only what
the engine refuses is a counter-example.
"""

from collections.abc import Iterator

from msgspec import Struct

from services.common.errors import Text
from services.common.instants import HOUR, Instant
from services.common.regions import divisions
from services.verdict.domain.evidence.values import Channel, Evidence, Kind, Origin, Record, Result, Scope, Tube
from services.verdict.domain.judgement.judge import judge
from services.verdict.domain.policy.compiled import CompiledPolicy
from services.verdict.domain.policy.policy_set import PolicySet
from services.verdict.domain.reasons.wording import region_name, when
from services.verdict.domain.rules.windows import Window
from services.verdict.domain.verdict import Status, Verdict

_CHANNELS = {
    Channel.LABORATORY: Text("由检测机构上报", "reported by the laboratory"),
    Channel.NATIONAL_PLATFORM: Text("经国家平台出示", "shown through the national platform"),
    Channel.HEALTH_CODE: Text("以健康码出示", "shown in a health code"),
    Channel.CERTIFICATE: Text("以电子证明出示", "shown by an electronic certificate"),
    Channel.PAPER: Text("以纸质报告出示", "shown on paper"),
}


class CounterExample(Struct, frozen=True):
    """A test the notice recognises at an instant and the policy refuses, with the verdict the engine gave."""

    record: Record
    origin_region: str
    at: Instant
    window: Window
    verdict: Verdict

    def text(self) -> Text:
        """For people."""
        origin, record = region_name(self.origin_region), self.record
        channel = _CHANNELS[Channel(record.channel)]
        reported = when(record.reported_at or self.at)
        sampled_zh = "采样时间未知" if record.sampled_at is None else f"{when(record.sampled_at)}采样"
        sampled_en = "sampled at an unknown time" if record.sampled_at is None else f"sampled {when(record.sampled_at)}"
        tube_zh = "单检" if record.tube == Tube.SINGLE else f"{record.tube}混1"
        tube_en = "single tube" if record.tube == Tube.SINGLE else f"pool of {record.tube}"
        hours = f"{self.window.length / HOUR:g}"
        status = Status(self.verdict.status).name
        return Text(
            f"反例：某人持{origin.zh}的阴性结果（{tube_zh}，{channel.zh}，{sampled_zh}，{reported}出具报告），于{when(self.at)}"
            f"查验；本地有效期{hours}小时，按通知应予认可，本政策判为 {status}",
            f"counter-example: a person with a negative result from {origin.en} ({tube_en}, {channel.en}, {sampled_en},"
            f" reported {reported}), checked at {when(self.at)} (UTC+8), inside the local window of {hours} hours: the"
            f" notice recognises it, this policy answers {status}",
        )


def counter_example(policy: CompiledPolicy, policies: PolicySet) -> CounterExample | None:
    """The first counter-example found; None when the policy is nowhere stricter than the notice, or the notice does not
    bind while the policy is in force."""
    for begins, ends in _binding(policy, policies):
        for record, origin_region in _tests(policy, begins):
            window = _local_window(policy, record.tube)
            for at in _instants(record, window, ends):
                evidence = Evidence(region=policy.ref.region, scope=Scope.NATIONAL, records=(record,))
                verdict = judge(evidence, policies, at, at)
                if verdict.status != Status.RECOGNISED:
                    return CounterExample(record, origin_region, at, window, verdict)
    return None


def _binding(policy: CompiledPolicy, policies: PolicySet) -> Iterator[tuple[Instant, Instant | None]]:
    """The spans in which the policy is in force and the notice binds."""
    versions = policies.versions(policy.ref.region)
    later = [version.starts for version in versions if version.starts > policy.starts]
    ends = min(later, default=None)
    for position, notice in enumerate(policies.notices):
        if not notice.binds:
            continue
        following = policies.notices[position + 1].starts if position + 1 < len(policies.notices) else None
        begins = max(policy.starts, notice.starts)
        until = min((end for end in (ends, following) if end is not None), default=None)
        if until is None or begins < until:
            yield begins, until


def _tests(policy: CompiledPolicy, reported_at: Instant) -> Iterator[tuple[Record, str]]:
    region = policy.ref.region
    named = {region} | {origin for clause in policy.general.clauses for origin in clause.origins or ()}
    unnamed = next((code for code in divisions() if code not in named), None)
    # From elsewhere first: that is what the notice is about.
    origins = [*([unnamed] if unnamed is not None else []), *sorted(named - {region}), region]
    for origin in origins:
        for channel in Channel:
            for tube in Tube:
                for sampled_at in (reported_at - 12 * HOUR, reported_at, None, reported_at - 96 * HOUR):
                    here = channel != Channel.LABORATORY and origin != region
                    yield (
                        Record(
                            region=region if here else origin,
                            source_id="example",
                            kind=Kind.RESULT,
                            result=Result.NEGATIVE,
                            tube=tube,
                            channel=channel,
                            laboratory="example",
                            sampled_at=None if sampled_at is None else Instant(sampled_at),
                            reported_at=reported_at,
                            origin=Origin(origin) if here else None,
                        ),
                        origin,
                    )


def _local_window(policy: CompiledPolicy, tube: int) -> Window:
    own = [
        clause.window
        for clause in policy.general.clauses
        if clause.result == Result.NEGATIVE
        and clause.tests == 1
        and (clause.origins is None or policy.ref.region in clause.origins)
        and (clause.channels is None or Channel.LABORATORY in clause.channels)
        and (clause.tubes is None or tube in clause.tubes)
    ]
    return max([policy.general.notice_rule.clause.window, *own], key=lambda window: (window.length, window.inclusive))


def _instants(record: Record, window: Window, ends: Instant | None) -> Iterator[Instant]:
    reported_at = record.reported_at or Instant(0)
    end = reported_at + window.length
    candidates = [reported_at, reported_at + window.length // 2, end - 1, *([end] if window.inclusive else [])]
    if ends is not None:
        candidates = [*(at for at in candidates if at < ends), *([ends - 1] if ends <= end else [])]
    yield from (Instant(at) for at in candidates)
