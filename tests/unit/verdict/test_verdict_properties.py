"""Properties hold of every verdict, whatever the evidence."""

from pathlib import Path

import msgspec
from hutong.lookup.v1 import evidence_service_pb2
from hutong.verdict.v1 import verdict_pb2
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from services.common.instants import HOUR, Instant
from services.verdict.domain.evidence.values import Channel, Check, Evidence, Kind, Record, Result, Scene, Scope, Tube
from services.verdict.domain.judgement.judge import judge
from services.verdict.domain.policy.compiled import CompiledPolicy
from services.verdict.domain.policy.contents import PolicyFile
from services.verdict.domain.verdict import HELD_DAY, NATIONAL_NOTICE, NoticeOutcome, Status, Verdict
from services.verdict.policy.files import load_directory
from services.verdict.servicers import translation
from tests.testkit.builders.verdict_inputs import ELSEWHERE, NOON, SCENES, checks, evidence, hours, instants
from tests.testkit.oracles import verdict as reference

POLICIES = load_directory(Path(__file__).parents[2] / "golden" / "engine" / "fine_print" / "policies")
EXAMPLES = settings(max_examples=300)


def _answer(verdict: Verdict) -> Verdict:
    """The verdict without the instants it was asked at, and without when it must be asked again."""
    return msgspec.structs.replace(verdict, at=0, computed_at=0, fresh_until=None)


def _bytes(verdict: Verdict) -> bytes:
    message = verdict_pb2.Verdict()
    translation.fill(message, verdict, evidence_service_pb2.Evidence())
    return message.SerializeToString()


def _in_force(region: str, at: Instant) -> CompiledPolicy:
    return POLICIES.in_force(region, at).policy


@EXAMPLES
@given(evidence(), instants, st.randoms(use_true_random=False))
def test_the_order_of_records_does_not_matter(seen: Evidence, at: Instant, random):
    """The same evidence in another order gives the same bytes."""
    shuffled = list(seen.records)
    random.shuffle(shuffled)
    again = msgspec.structs.replace(seen, records=tuple(shuffled))
    assert _bytes(judge(seen, POLICIES, at, at)) == _bytes(judge(again, POLICIES, at, at))


@EXAMPLES
@given(evidence(), instants, checks, st.data())
def test_the_answer_does_not_change_before_fresh_until(seen: Evidence, at: Instant, check: Check, data):
    """Nothing but the instants of the question differs strictly before fresh_until."""
    verdict = judge(seen, POLICIES, at, at, check)
    end = at + 400 * HOUR if verdict.fresh_until is None else verdict.fresh_until
    assert end > at
    later = Instant(data.draw(st.one_of(st.just(end - 1), st.integers(at, end - 1)), label="later"))
    # Both as known at that later instant and as known before.
    assert _answer(judge(seen, POLICIES, later, at, check)) == _answer(verdict)
    assert _answer(judge(seen, POLICIES, later, later, check)) == _answer(verdict)


def _but_for_what_counts_against(verdict: Verdict) -> bool:
    """A report that is known to come may count against the holder, whatever is recognised besides."""
    return verdict.status not in (Status.POSITIVE, Status.RETEST_REQUIRED)


@EXAMPLES
@given(evidence(), instants, st.sampled_from(SCENES), st.data())
def test_recognised_until_valid_until_and_not_after(seen: Evidence, at: Instant, scene: Scene, data):
    """Whatever policy, clause or notice takes the place of which, recognition lasts until valid_until, and ends
    there."""
    ages = [data.draw(st.integers(0, 20), label="age"), 30]
    fresh = [
        _result(seen.region, f"fresh{age}", Instant(at - age * HOUR), Instant(at - age * HOUR // 2)) for age in ages
    ]
    # What is sampled later is no evidence yet.
    known = [r for r in seen.records if (r.sampled_at or r.reported_at or 0) <= at]
    seen = msgspec.structs.replace(seen, records=(*known, *fresh))
    verdict = judge(seen, POLICIES, at, at, Check(scene))
    assume(verdict.status == Status.RECOGNISED)
    assert verdict.valid_until is not None
    assert verdict.valid_until >= at
    last = max(at, verdict.valid_until - 1)
    for later in (Instant(data.draw(st.integers(at, last), label="later")), Instant(last)):
        again = judge(seen, POLICIES, later, at, Check(scene))
        if _but_for_what_counts_against(again):
            assert again.status == Status.RECOGNISED
            assert again.valid_until == verdict.valid_until
    # At the instant itself an inclusive window still holds; a microsecond later nothing does.
    ended = judge(seen, POLICIES, Instant(verdict.valid_until + 1), at, Check(scene))
    assert ended.status != Status.RECOGNISED


@EXAMPLES
@given(evidence(), evidence(), instants)
def test_more_evidence_never_shortens_recognition(seen: Evidence, other: Evidence, at: Instant):
    """One negative more, of its own, leaves valid_until where it was or moves it on."""
    fresh = _result(seen.region, "fresh", Instant(at - 20 * HOUR), Instant(at - 10 * HOUR))
    older = _result(seen.region, "older", Instant(at - 45 * HOUR), Instant(at - 40 * HOUR))
    known = (*(r for r in seen.records if (r.sampled_at or r.reported_at or 0) <= at), fresh, older)
    seen = msgspec.structs.replace(seen, records=known)
    verdict = judge(seen, POLICIES, at, at)
    assume(verdict.status == Status.RECOGNISED)
    more = [
        msgspec.structs.replace(record, source_id=f"more-{record.source_id}", origin=None)
        for record in other.records
        if record.result in (Result.NEGATIVE, Result.INCONCLUSIVE) or record.kind == Kind.SAMPLING
    ]
    again = judge(msgspec.structs.replace(seen, records=(*known, *more)), POLICIES, at, at)
    assert again.status == Status.RECOGNISED
    assert again.valid_until is not None
    assert verdict.valid_until is not None
    assert again.valid_until >= verdict.valid_until


@EXAMPLES
@given(evidence(), instants)
def test_local_knows_nothing_but_what_the_own_store_holds(seen: Evidence, at: Instant):
    """With scope LOCAL what counts for the holder is what it would be if no other store had anything."""
    local = judge(msgspec.structs.replace(seen, scope=Scope.LOCAL), POLICIES, at, at)
    assume(_but_for_what_counts_against(local))
    own = tuple(record for record in seen.records if record.region == seen.region)
    alone = judge(msgspec.structs.replace(seen, scope=Scope.LOCAL, records=own), POLICIES, at, at)
    assume(_but_for_what_counts_against(alone))
    assert (local.status, local.grounds, local.valid_until) == (alone.status, alone.grounds, alone.valid_until)
    assert (local.days_since_test, local.days_evidence) == (alone.days_since_test, alone.days_evidence)


@EXAMPLES
@given(evidence(copies=False, suspensions=False), instants, st.sampled_from([Tube.SINGLE, Tube.POOL_10]), hours)
def test_a_positive_never_makes_recognition(seen: Evidence, at: Instant, tube: Tube, sampled: Instant):
    """Who is not recognised is not recognised for one positive more.

    A positive retest may settle a positive pool, but then stands itself.
    """
    assume(judge(seen, POLICIES, at, at).status != Status.RECOGNISED)
    positive = _result("430000", "extra", sampled, Instant(sampled + HOUR), result=Result.POSITIVE, tube=tube)
    assume(positive.reported_at is not None and positive.reported_at <= at)
    more = msgspec.structs.replace(seen, records=(*seen.records, positive))
    assert judge(more, POLICIES, at, at).status != Status.RECOGNISED


@EXAMPLES
@given(evidence(outages=False), instants, st.data())
def test_an_outage_is_never_no_test(seen: Evidence, at: Instant, data):
    """Where a record that a silent source keeps would have made recognition, the answer was not NOT_RECOGNISED; nor
    where it would have made a refusal of the notice, unless one was marked already."""
    silent = data.draw(st.sampled_from([seen.region, "nation"]), label="silent")
    # The nation keeps what regions without a store on the mesh have; a region keeps its own.
    kept_by = (
        seen.region
        if silent == seen.region
        else data.draw(st.sampled_from([code for code in ELSEWHERE if code != seen.region]), label="kept by")
    )
    reported = Instant(at - data.draw(st.integers(0, 30), label="age") * HOUR)
    hidden = [
        _result(kept_by, f"hidden{number}", Instant(reported - number * 24 * HOUR), reported, tube=Tube.SINGLE)
        for number in range(data.draw(st.integers(1, 2), label="tests"))
    ]
    hidden = [msgspec.structs.replace(item, channel=data.draw(st.sampled_from(list(Channel)))) for item in hidden]
    whole = msgspec.structs.replace(seen, records=(*seen.records, *hidden))
    known = judge(whole, POLICIES, at, at)
    assume(known.status == Status.RECOGNISED or known.notice == NoticeOutcome.REFUSAL)
    partial = judge(msgspec.structs.replace(seen, coverage={**seen.coverage, silent: False}), POLICIES, at, at)
    marked = known.status != Status.RECOGNISED and partial.notice == NoticeOutcome.REFUSAL
    assert partial.status != Status.NOT_RECOGNISED or marked


@EXAMPLES
@given(evidence(copies=False), instants, st.sampled_from(list(Channel)), st.sampled_from(list(Tube)), st.data())
def test_the_notice_is_carried_out_where_it_is_enforced(seen: Evidence, at: Instant, channel, tube, data):
    """Under enforce every negative reported within the region's own window is recognised, unless a positive stands."""
    seen = msgspec.structs.replace(seen, region="140000", scope=Scope.NATIONAL)
    policy = _in_force("140000", at)
    assume(policy.general.notice_rule.enforce and POLICIES.in_force("140000", at).binds)
    age = data.draw(st.integers(0, policy.general.notice_rule.clause.window.length), label="age")
    reported = Instant(at - age)
    sampled = data.draw(st.sampled_from([None, Instant(reported - 200 * HOUR), reported]), label="sampled")
    negative = msgspec.structs.replace(_result("650000", "n", sampled, reported, tube=tube), channel=channel)
    verdict = judge(msgspec.structs.replace(seen, records=(*seen.records, negative)), POLICIES, at, at)
    assert verdict.status in (Status.RECOGNISED, Status.POSITIVE, Status.RETEST_REQUIRED)


@EXAMPLES
@given(evidence(copies=False, suspensions=False, outages=False), instants, checks)
def test_the_engine_agrees_with_a_slow_reading_of_the_design(seen: Evidence, at: Instant, check: Check):
    """Every status, ground and end is what trying every choice and every instant says."""
    seen = msgspec.structs.replace(seen, scope=Scope.NATIONAL)
    verdict = judge(seen, POLICIES, at, at, check)
    policy = reference.for_scene(_in_force(seen.region, at).source, Scene(check.scene))
    records = list(seen.records)
    if reference.positive_stands(policy, records, at):
        assert verdict.status == Status.POSITIVE
    elif reference.retest_owed(records, at):
        assert verdict.status == Status.RETEST_REQUIRED
    elif not policy.clauses or reference.exempt(policy, check.born, at):
        assert verdict.status == Status.NOT_REQUIRED
    else:
        _agrees(verdict, policy, records, at)
    if verdict.status == Status.RECOGNISED:
        scene = Scene(check.scene)
        versions = [reference.for_scene(version.source, scene) for version in POLICIES.versions(seen.region)]
        notices = [notice.source for notice in POLICIES.notices]
        assert verdict.valid_until == reference.recognised_until(versions, notices, records, at)


def _agrees(verdict: Verdict, policy: PolicyFile, records: list[Record], at: Instant) -> None:
    ends = {entry.id: reference.clause_until(entry, policy.region, records, at) for entry in policy.clauses or ()}
    met = {clause: end for clause, end in ends.items() if end is not None}
    held = reference.held_until(policy, records, at)
    grounds = {ground.clause: ground.valid_until for ground in verdict.grounds}
    binds = POLICIES.in_force(policy.region, at).binds
    if met:
        assert (verdict.status, grounds, verdict.notice) == (Status.RECOGNISED, met, NoticeOutcome.NONE)
    elif held is not None:
        assert (verdict.status, grounds, verdict.notice) == (Status.RECOGNISED, {HELD_DAY: held}, NoticeOutcome.NONE)
    elif binds and reference.notice_holds(policy, records, at) and policy.notice.mode == "enforce":
        assert (verdict.status, verdict.notice, list(grounds)) == (
            Status.RECOGNISED,
            NoticeOutcome.ENFORCED,
            [NATIONAL_NOTICE],
        )
    else:
        refused = binds and reference.notice_holds(policy, records, at)
        assert verdict.notice == (NoticeOutcome.REFUSAL if refused else NoticeOutcome.NONE)
        assert verdict.status in (Status.NOT_RECOGNISED, Status.PENDING)


@EXAMPLES
@given(evidence(), instants)
def test_local_says_whether_national_would_help(seen: Evidence, at: Instant):
    """With scope LOCAL and no recognition, national_would_recognise is what NATIONAL answers."""
    local = judge(msgspec.structs.replace(seen, scope=Scope.LOCAL), POLICIES, at, at)
    national = judge(msgspec.structs.replace(seen, scope=Scope.NATIONAL), POLICIES, at, at)
    assume(local.status != Status.RECOGNISED)
    assert local.national_would_recognise == (national.status == Status.RECOGNISED)


@EXAMPLES
@given(evidence(outages=False), instants)
def test_not_recognised_says_why(seen: Evidence, at: Instant):
    """Every record seen is named in a reason or counted, by itself or by the test it is a copy of."""
    verdict = judge(seen, POLICIES, at, at)
    assume(verdict.status == Status.NOT_RECOGNISED)
    named = {(reason.evidence.region, reason.evidence.source_id) for reason in verdict.reasons if reason.evidence}
    alone = {(record.region, record.source_id) for record in seen.records if record.origin is None}
    copied = {(r.origin.region, r.origin.source_id) for r in seen.records if r.origin is not None}
    unnamed = alone - copied - named
    assert len(unnamed) <= sum(further.count for further in verdict.further_reasons)
    assert all(reason.text.zh and reason.text.en for reason in verdict.reasons if reason.text is not None)


def _result(
    region: str,
    source_id: str,
    sampled: Instant | None,
    reported: Instant,
    result: Result = Result.NEGATIVE,
    tube: Tube = Tube.SINGLE,
) -> Record:
    return Record(
        region=region,
        source_id=source_id,
        kind=Kind.RESULT,
        result=result,
        tube=tube,
        channel=Channel.LABORATORY,
        laboratory="other",
        sampled_at=sampled,
        reported_at=reported,
    )


def test_the_grid_meets_the_change_of_policies():
    """The random instants straddle the midnight at which the fine print's policies change."""
    assert _in_force("140000", NOON) is not _in_force("140000", Instant(NOON + 12 * HOUR))
