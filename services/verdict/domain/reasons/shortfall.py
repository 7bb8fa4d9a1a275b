"""Step 6, what fell short and what would have been enough: a reason for every test, by the clause it came nearest to,
and one for every clause that no test came near. Texts name instants, never ages, so that they stay true until the
answer changes.
"""

from collections.abc import Sequence

from services.common.errors import Text
from services.common.instants import HOUR, Instant
from services.verdict.domain.evidence import admission
from services.verdict.domain.evidence.admission import Admitted
from services.verdict.domain.evidence.values import Evidence, Record, Result, Scope, Test
from services.verdict.domain.freshness import NextChange
from services.verdict.domain.policy.compiled import CompiledPolicy
from services.verdict.domain.reasons.wording import from_text, hours_text, region_name, when
from services.verdict.domain.rules.clauses import Clause, MetClause
from services.verdict.domain.rules.positives import ClearanceRule
from services.verdict.domain.verdict import NATIONAL_NOTICE, Reason

NO_EVIDENCE = "NO_EVIDENCE"
ORIGIN_NOT_ACCEPTED = "ORIGIN_NOT_ACCEPTED"
CHANNEL_NOT_ACCEPTED = "CHANNEL_NOT_ACCEPTED"
TUBE_NOT_ACCEPTED = "TUBE_NOT_ACCEPTED"
WINDOW_EXPIRED = "WINDOW_EXPIRED"
TOO_FEW_TESTS = "TOO_FEW_TESTS"
RESULT_AWAITED = "RESULT_AWAITED"
RESULT_OVERDUE = "RESULT_OVERDUE"
INCONCLUSIVE = "INCONCLUSIVE"
POSITIVE_CLEARED = "POSITIVE_CLEARED"
OUTSIDE_SCOPE = "OUTSIDE_SCOPE"
SOURCE_UNREACHABLE = "SOURCE_UNREACHABLE"
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

# How near a test came to a clause: the later of its conditions that failed first.
_KIND, _ORIGIN, _CHANNEL, _TUBE, _WINDOW, _COUNT = range(6)


def fell_short(
    evidence: Evidence,
    policy: CompiledPolicy,
    clauses: Sequence[Clause],
    admitted: Admitted,
    tests: Sequence[Test],
    at: Instant,
    next_change: NextChange,
) -> tuple[Reason, ...]:
    """Returns the reasons why `tests`, those that count in the scope, meet none of the clauses, newest first; then the
    clauses no test came near; then what was not admitted. Notes when any of them turns."""
    reasons: list[Reason] = []
    for test in tests:
        nearness, position = max(
            (_nearness(clause, test, at, next_change), -position) for position, clause in enumerate(clauses)
        )
        reasons.append(_about(test, clauses[-position], nearness, policy, at, next_change))
    named = {reason.clause for reason in reasons}
    reasons += [_nothing_for(clause) for clause in clauses if clause.id not in named]
    if evidence.scope == Scope.LOCAL:
        inside = {test.identity for test in tests}
        reasons += [_outside(test, evidence.region) for test in admitted.tests if test.identity not in inside]
    reasons += [Reason(refusal.code, _REFUSED[refusal.code], evidence=refusal.record) for refusal in admitted.refused]
    return tuple(reasons)


def _nearness(clause: Clause, test: Test, at: Instant, next_change: NextChange) -> int:
    if test.result != clause.result:
        return _KIND
    if clause.origins is not None and test.origin_region not in clause.origins:
        return _ORIGIN
    if clause.channels is not None and not any(record.channel in clause.channels for record in test.records):
        return _CHANNEL
    if clause.tubes is not None and test.content.tube not in clause.tubes:
        return _TUBE
    end = clause.window.end(test)
    if not clause.window.holds(end, at):
        return _WINDOW
    next_change.note(clause.window.lapse(end))
    return _COUNT


def _enough(clause: Clause, zh: str, en: str, code: str, record: Record) -> Reason:
    need = clause.requirement
    return Reason(code, Text(f"{zh}；须有{need.zh}", f"{en}; enough would be {need.en}"), clause.id, record)


def _about(
    test: Test, clause: Clause, nearness: int, policy: CompiledPolicy, at: Instant, next_change: NextChange
) -> Reason:
    record = test.records[0]
    if nearness == _KIND:
        return _wrong_kind(test, record, clause, policy, at, next_change)
    if nearness == _ORIGIN:
        name = region_name(test.origin_region)
        return _enough(
            clause,
            f"{name.zh}的检测不在认可范围",
            f"Tests from {name.en} are not accepted",
            ORIGIN_NOT_ACCEPTED,
            record,
        )
    if nearness == _CHANNEL:
        return _enough(clause, "出示渠道不在认可范围", "Not shown by an accepted channel", CHANNEL_NOT_ACCEPTED, record)
    if nearness == _TUBE:
        return _enough(clause, "采样管类型不在认可范围", "Not an accepted kind of tube", TUBE_NOT_ACCEPTED, record)
    if nearness == _WINDOW:
        start = from_text(clause.window.from_reported)
        end = when(clause.window.end(test))
        return _enough(
            clause,
            f"自{start.zh}起计的有效期已于{end}届满",
            f"Its window, counted from {start.en}, ended at {end} (UTC+8)",
            WINDOW_EXPIRED,
            record,
        )
    return _enough(
        clause,
        "在有效期内，但次数或间隔不足",
        "Inside the window, but too few, or too close together",
        TOO_FEW_TESTS,
        record,
    )


def _wrong_kind(
    test: Test, record: Record, clause: Clause, policy: CompiledPolicy, at: Instant, next_change: NextChange
) -> Reason:
    if test.result == Result.INCONCLUSIVE:
        return Reason(
            INCONCLUSIVE,
            Text("结果无法判定，不作依据；须重新检测", "The result is inconclusive and counts neither way; test again"),
            evidence=record,
        )
    if test.result == Result.POSITIVE:
        return Reason(
            POSITIVE_CLEARED,
            Text("曾为阳性，已解除；阳性不作通行依据", "A positive, since cleared; it never counts for recognition"),
            evidence=record,
        )
    if test.result == Result.AWAITED:
        waiting = policy.waiting.window
        end = waiting.end(test)
        if waiting.holds(end, at):
            next_change.note(waiting.lapse(end))
            return Reason(RESULT_AWAITED, Text("已采样，等待结果", "Sampled; the result is awaited"), evidence=record)
        return Reason(
            RESULT_OVERDUE,
            Text(
                f"采样后未见结果，等待期已于{when(end)}届满；须有阴性结果",
                f"No result came; the waiting time ended at {when(end)} (UTC+8); enough would be a negative result",
            ),
            evidence=record,
        )
    # A negative where only sampling records are asked for.
    return _enough(clause, "该结果不是所要求的依据", "Not the kind of evidence asked for", NO_EVIDENCE, record)


def _nothing_for(clause: Clause) -> Reason:
    need = clause.requirement
    return Reason(
        NO_EVIDENCE, Text(f"未见所需依据；须有{need.zh}", f"Nothing found; enough would be {need.en}"), clause.id
    )


def _outside(test: Test, region: str) -> Reason:
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
