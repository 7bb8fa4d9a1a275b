"""Reasons: their codes, stable, and their words, Chinese first."""

from collections.abc import Sequence

from services.common.errors import Text
from services.common.instants import HOUR
from services.verdict.domain.evidence import admission
from services.verdict.domain.evidence.admission import Refusal
from services.verdict.domain.evidence.values import Test
from services.verdict.domain.policy.compiled import CompiledPolicy
from services.verdict.domain.reasons.wording import from_text, hours_text, region_name, when
from services.verdict.domain.rules.clauses import Clause, MetClause
from services.verdict.domain.rules.positives import ClearanceRule
from services.verdict.domain.rules.silence import SilenceRule, SilentSource
from services.verdict.domain.verdict import NATIONAL_NOTICE, Reason

NO_EVIDENCE = "NO_EVIDENCE"
ORIGIN_NOT_ACCEPTED = "ORIGIN_NOT_ACCEPTED"
CHANNEL_NOT_ACCEPTED = "CHANNEL_NOT_ACCEPTED"
TUBE_NOT_ACCEPTED = "TUBE_NOT_ACCEPTED"
SAMPLING_TIME_UNKNOWN = "SAMPLING_TIME_UNKNOWN"
WINDOW_EXPIRED = "WINDOW_EXPIRED"
TOO_FEW_TESTS = "TOO_FEW_TESTS"
RESULT_AWAITED = "RESULT_AWAITED"
RESULT_OVERDUE = "RESULT_OVERDUE"
INCONCLUSIVE = "INCONCLUSIVE"
POSITIVE_CLEARED = "POSITIVE_CLEARED"
OUTSIDE_SCOPE = "OUTSIDE_SCOPE"
SOURCE_UNREACHABLE = "SOURCE_UNREACHABLE"
SOURCE_SILENT = "SOURCE_SILENT"
SOURCE_SILENT_TOO_LONG = "SOURCE_SILENT_TOO_LONG"
NOTICE_NOT_CARRIED_OUT = "NOTICE_NOT_CARRIED_OUT"
NOT_CLEARED = "NOT_CLEARED"
RETEST_OWED = "RETEST_OWED"

_REFUSED = {
    admission.RETRACTED: Text("该记录已撤回", "The record was retracted"),
    admission.LABORATORY_SUSPENDED: Text(
        "检测机构在采样期间被暂停，结果不予采信",
        "The laboratory was suspended for the time of sampling; its result is void",
    ),
    admission.LABORATORY_NOT_ACCREDITED: Text(
        "采样时检测机构不在核准期内，结果不予采信",
        "The laboratory was not accredited at the time of sampling; its result is void",
    ),
    admission.SAMPLED_LATER: Text("采样时间晚于查询时刻", "Sampled later than the instant asked about"),
    admission.UNDATED: Text("记录没有采样时间和报告时间", "The record tells neither when it was sampled nor reported"),
}

_TEXTS = {
    CHANNEL_NOT_ACCEPTED: Text("出示渠道不在认可范围", "Not shown by an accepted channel"),
    TUBE_NOT_ACCEPTED: Text("采样管类型不在认可范围", "Not an accepted kind of tube"),
    SAMPLING_TIME_UNKNOWN: Text("采样时间未知", "Its sampling time is unknown"),
    TOO_FEW_TESTS: Text("在有效期内，但次数或间隔不足", "Inside the window, but too few, or too close together"),
    NO_EVIDENCE: Text("该结果不是所要求的依据", "Not the kind of evidence asked for"),
    INCONCLUSIVE: Text(
        "结果无法判定，不作依据；须重新检测", "The result is inconclusive and counts neither way; test again"
    ),
    POSITIVE_CLEARED: Text(
        "曾为阳性，已解除；阳性不作通行依据", "A positive, since cleared; it never counts for recognition"
    ),
    RESULT_AWAITED: Text("已采样，等待结果", "Sampled; the result is awaited"),
    RESULT_OVERDUE: Text(
        "采样后未见结果，等待期已届满；须有阴性结果",
        "No result came within the waiting time; enough would be a negative result",
    ),
}


_LEFT_OUT = {
    WINDOW_EXPIRED: Text("已不在有效期内", "outside the window"),
    OUTSIDE_SCOPE: Text("不在本地库中", "that the region's own database does not have"),
}


def left_out(code: str, count: int, *, at_least: bool) -> Text:
    """Returns what is said of so many tests, or at least so many, that a selection left out, older than those that are
    given."""
    words = _LEFT_OUT[code]
    ones = "one" if count == 1 and not at_least else "ones"
    least = Text("至少", "at least ") if at_least else Text("", "")
    return Text(f"另有{least.zh}{count}次更早的检测{words.zh}", f"and {least.en}{count} older {ones} {words.en}")


def about_test(code: str, test: Test, clause: Clause | None, policy: CompiledPolicy) -> Reason:
    """Returns the reason why a test fell short, and what would have been enough for the clause it is about."""
    record = test.records[0]
    if clause is None:
        ended_at = policy.waiting.window.end(test) if code == RESULT_OVERDUE else None
        return Reason(code, _TEXTS[code], evidence=record, ended_at=ended_at)
    if code == ORIGIN_NOT_ACCEPTED:
        name = region_name(test.origin_region)
        short = Text(f"{name.zh}的检测不在认可范围", f"Tests from {name.en} are not accepted")
    elif code == WINDOW_EXPIRED:
        start = from_text(clause.window.from_reported)
        short = Text(f"自{start.zh}起计的有效期已届满", f"Its window, counted from {start.en}, has ended")
    else:
        short = _TEXTS[code]
    need = clause.requirement
    ended_at = clause.window.end(test) if code == WINDOW_EXPIRED else None
    text = Text(f"{short.zh}；须有{need.zh}", f"{short.en}; enough would be {need.en}")
    return Reason(code, text, clause.id, record, ended_at)


def nothing_found(clause: Clause) -> Reason:
    """Returns the reason that no test came near a clause."""
    need = clause.requirement
    return Reason(
        NO_EVIDENCE, Text(f"未见所需依据；须有{need.zh}", f"Nothing found; enough would be {need.en}"), clause.id
    )


def outside_scope(test: Test, region: str) -> Reason:
    """Returns the reason that only others than the region's own store know of a test."""
    here = region_name(region)
    return Reason(
        OUTSIDE_SCOPE,
        Text(
            f"{here.zh}本地库中没有这次检测；切换到国家库后可查",
            f"The database of {here.en} does not have this test; the national database does",
        ),
        evidence=test.records[0],
    )


def unreachable(source: str) -> Reason:
    """Returns the reason that a source which could have helped did not answer."""
    name = region_name(source)
    return Reason(
        SOURCE_UNREACHABLE,
        Text(
            f"{name.zh}暂时无法查询，不等于没有检测；请稍后再试",
            f"Could not ask {name.en}; this does not mean that there is no test; try again",
        ),
    )


def _named(silent: Sequence[SilentSource]) -> Text:
    """Names the first of some sources, and says how many others there are."""
    name, others = region_name(silent[0].source), len(silent) - 1
    if not others:
        return name
    return Text(f"{name.zh}等{others + 1}处", f"{name.en} and {others} other{'s' if others > 1 else ''}")


def silent(sources: Sequence[SilentSource]) -> Reason:
    """Returns the reason that sources cannot be reached, the first of them being known least far, so that what they
    recorded since is not counted."""
    name, since = _named(sources), sources[0].known_until
    if since is None:
        return Reason(
            SOURCE_SILENT,
            Text(
                f"{name.zh}失联，其记录可能未计入", f"{name.en} cannot be reached: what it recorded may not be counted"
            ),
        )
    return Reason(
        SOURCE_SILENT,
        Text(
            f"{name.zh}失联，{when(since)}以后的检测未计入",
            f"{name.en} cannot be reached: what was recorded there since {when(since)} is not counted",
        ),
    )


def silent_too_long(sources: Sequence[SilentSource], rule: SilenceRule) -> Reason:
    """Returns the reason that sources have been silent for longer than the policy allows."""
    name, limit, since = _named(sources), hours_text(rule.undetermined_after / HOUR), sources[0].known_until
    started = "" if since is None else when(since)
    return Reason(
        SOURCE_SILENT_TOO_LONG,
        Text(
            f"{name.zh}自{started}失联，已满{limit.zh}，其间如有阳性无从得知，暂无法判定",
            f"{name.en} cannot be reached since {started}, for {limit.en} or more: a positive recorded there meanwhile"
            " would not be known",
        ),
    )


def notice_refused(refused: MetClause) -> Reason:
    """Returns the reason that the notice would recognise it and the region does not."""
    need = refused.clause.requirement
    return Reason(
        NOTICE_NOT_CARRIED_OUT,
        Text(
            f"按国家互认通知应予认可（{need.zh}），本地尚未执行，已记录",
            f"The national notice demands recognition ({need.en}); the region does not yet carry it out; recorded",
        ),
        NATIONAL_NOTICE,
        refused.evidence()[0],
    )


def not_cleared(positive: Test, have: int, rule: ClearanceRule) -> Reason:
    """Returns what a positive still needs to be cleared, `have` negatives counting already."""
    apart = hours_text(rule.apart / HOUR)
    return Reason(
        NOT_CLEARED,
        Text(
            f"解除须在其后采样{rule.negatives}次阴性，每次至少间隔{apart.zh}；现有{have}次",
            f"Clearing it takes {rule.negatives} negatives sampled after it, each at least {apart.en} after the one"
            f" before; so far {have}",
        ),
        evidence=positive.records[0],
    )


def retest_owed(pool: Test) -> Reason:
    """Returns what a positive pool asks for."""
    return Reason(
        RETEST_OWED,
        Text("须在其后单人单管复检并取得结果", "Enough would be the result of a single tube sampled after it"),
        evidence=pool.records[0],
    )


def refused(refusal: Refusal) -> Reason:
    """Returns the reason why a record was not admitted."""
    return Reason(refusal.code, _REFUSED[refusal.code], evidence=refusal.record)
