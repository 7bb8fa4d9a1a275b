"""An independent, slow reading of the design's clauses, counts, clearance and pools: every choice of tests is tried.

It knows nothing of the engine's own functions but reads the same policy files, straight from their YAML fields.
"""

from collections.abc import Sequence
from datetime import date
from itertools import combinations, pairwise

import msgspec

from services.common.instants import HOUR, MINUTE, Instant, calendar_day, start_of_day, time_of_day, to_datetime
from services.common.regions import divisions
from services.verdict.domain.evidence.values import Channel, Kind, Record, Result, Scene, Tube
from services.verdict.domain.policy.contents import ClauseEntry, DaysRule, NoticeFile, PolicyFile


def _sampled(record: Record) -> Instant:
    instant = record.sampled_at if record.sampled_at is not None else record.reported_at
    assert instant is not None
    return instant


def _exists(record: Record, at: Instant) -> bool:
    return not record.retracted and _sampled(record) <= at


def _reported(record: Record, at: Instant) -> bool:
    return record.kind == Kind.RESULT and record.reported_at is not None and record.reported_at <= at


def _comes_from(record: Record) -> str:
    return record.origin.region if record.origin is not None else record.region


def _origin_accepted(name: str, comes_from: str, region: str) -> bool:
    if name == "anywhere":
        return True
    if name == "local":
        return comes_from == region
    if name.startswith("bloc:"):
        return divisions()[comes_from].bloc == name[5:]
    return comes_from == name


def _acceptable(entry: ClauseEntry, region: str, record: Record, at: Instant) -> bool:
    if entry.evidence == "result":
        right_kind = _reported(record, at) and record.result == Result.NEGATIVE
    else:
        right_kind = not _reported(record, at)
    return (
        right_kind
        and any(_origin_accepted(name, _comes_from(record), region) for name in entry.origins)
        and (entry.channels is None or Channel(record.channel).name.lower() in entry.channels)
        and (entry.tubes is None or Tube(record.tube).name.lower() in entry.tubes)
        and (entry.window.sampling_time != "required" or record.sampled_at is not None)
    )


def _end(entry: ClauseEntry, record: Record) -> Instant:
    begins = _sampled(record)
    if entry.window.from_ == "reported":
        assert record.reported_at is not None
        begins = record.reported_at
    return Instant(begins + int(entry.window.hours * HOUR))


def clause_until(entry: ClauseEntry, region: str, records: list[Record], at: Instant) -> Instant | None:
    """The latest instant at which the clause, met at `at`, still holds; None when it is not met."""
    needed, apart = (1, 0.0) if entry.count is None else (entry.count.tests, entry.count.apart_hours)
    inside = []
    for record in records:
        if not _exists(record, at) or not _acceptable(entry, region, record, at):
            continue
        end = _end(entry, record)
        if at < end or (at == end and entry.window.edge == "inclusive"):
            if entry.evidence == "sampling_record" and record.reported_at is not None:
                end = min(end, record.reported_at)
            inside.append((record, end))
    best: Instant | None = None
    for choice in combinations(inside, needed):
        times = sorted(_sampled(record) for record, _ in choice)
        if all(later - earlier >= apart * HOUR for earlier, later in pairwise(times)):
            until = min(end for _, end in choice)
            best = until if best is None else max(best, until)
    return best


def notice_holds(policy: PolicyFile, records: list[Record], at: Instant) -> bool:
    """Tells if a negative result is inside the region's own window, counted from its report."""
    window = policy.notice.window
    for record in records:
        if not _exists(record, at) or not _reported(record, at) or record.result != Result.NEGATIVE:
            continue
        assert record.reported_at is not None
        end = record.reported_at + int(window.hours * HOUR)
        if at < end or (at == end and window.edge == "inclusive"):
            return True
    return False


def for_scene(policy: PolicyFile, scene: Scene) -> PolicyFile:
    """The policy as it is in a scene: the clauses, the notice and the exemption of the scene in place of the general
    ones; no held day where a scene has rules of its own."""
    for rules in policy.scenes or ():
        if scene.name.lower() in rules.scenes:
            return msgspec.structs.replace(
                policy,
                clauses=rules.clauses,
                notice=rules.notice or policy.notice,
                exempt=rules.exempt or policy.exempt,
                days_since_test=msgspec.structs.replace(policy.days_since_test, held_day=None),
            )
    return policy


def exempt(policy: PolicyFile, born: date | None, at: Instant) -> bool:
    """Tells if the holder is younger than the policy asks of, by the calendar of UTC+8."""
    if policy.exempt is None or born is None:
        return False
    today = to_datetime(at).date()
    years = today.year - born.year - ((today.month, today.day) < (born.month, born.day))
    return years < policy.exempt.under_age


def held_until(policy: PolicyFile, records: list[Record], at: Instant) -> Instant | None:
    """Until when the last day of the window is held at an instant; None when it is not."""
    rule = policy.days_since_test
    if rule.held_day is None:
        return None
    counted = [r for r in records if _exists(r, at) and (rule.kept == "anywhere" or r.region == policy.region)]
    negatives = [r for r in counted if _reported(r, at) and r.result == Result.NEGATIVE]
    if not negatives:
        return None
    newest = max(_day(record, rule) for record in negatives)
    # Of several of one day the last taken, and the first by name, is the one that is shown.
    shown = min((r for r in negatives if _day(r, rule) == newest), key=lambda r: (-_sampled(r), r.region, r.source_id))
    if not any(_acceptable(entry, policy.region, shown, at) for entry in policy.clauses or ()):
        return None
    last_day = newest + rule.held_day
    waiting = [r for r in counted if not _reported(r, at) and _day(r, rule) == last_day]
    end = start_of_day(last_day + 2)
    ends = [end if r.reported_at is None else min(end, r.reported_at) for r in waiting]
    return max((Instant(end) for end in ends if at < end), default=None)


def _day(record: Record, rule: DaysRule) -> int:
    day = calendar_day(_sampled(record))
    if record.sampled_at is None and rule.night_report_until is not None:
        hours, minutes = rule.night_report_until.split(":")
        if time_of_day(_sampled(record)) < int(hours) * HOUR + int(minutes) * MINUTE:
            return day - 1
    return day


def recognised(
    policies: Sequence[PolicyFile], notices: Sequence[NoticeFile], records: list[Record], at: Instant
) -> bool:
    """Says whether some clause of the version in force, or the notice where it is enforced, holds at an instant."""
    policy = [version for version in sorted(policies, key=PolicyFile.starts) if version.starts() <= at][-1]
    binding = [notice for notice in sorted(notices, key=NoticeFile.starts) if notice.starts() <= at]
    if not policy.clauses:
        return False
    if any(clause_until(entry, policy.region, records, at) is not None for entry in policy.clauses):
        return True
    if held_until(policy, records, at) is not None:
        return True
    enforced = bool(binding) and binding[-1].binds and policy.notice.mode == "enforce"
    return enforced and notice_holds(policy, records, at)


def recognised_until(
    policies: Sequence[PolicyFile], notices: Sequence[NoticeFile], records: list[Record], at: Instant
) -> Instant:
    """The latest instant until which what was sampled by `at` is recognised without a gap: every instant at which
    anything turns is tried in order. `records` are recognised at `at`."""
    records = [record for record in records if _sampled(record) <= at]
    inclusive: set[int] = set()
    turns: set[int] = {policy.starts() for policy in policies} | {notice.starts() for notice in notices}
    for record in records:
        turns |= {start_of_day(calendar_day(_sampled(record)) + days) for days in (1, 2)}
        if record.reported_at is not None:
            turns.add(record.reported_at)
        for policy in policies:
            for entry in policy.clauses or ():
                begins = record.reported_at if entry.window.from_ == "reported" else _sampled(record)
                if begins is not None:
                    (inclusive if entry.window.edge == "inclusive" else turns).add(
                        begins + int(entry.window.hours * HOUR)
                    )
            if record.reported_at is not None:
                end = record.reported_at + int(policy.notice.window.hours * HOUR)
                (inclusive if policy.notice.window.edge == "inclusive" else turns).add(end)
    for turn in sorted(turns | {end + 1 for end in inclusive}):
        if turn > at and not recognised(policies, notices, records, Instant(turn)):
            return Instant(turn - 1 if turn - 1 in inclusive else turn)
    raise AssertionError("every window ends")


def positive_stands(policy: PolicyFile, records: list[Record], at: Instant) -> bool:
    """Tells if any positive of a single tube is open."""
    known = [record for record in records if _exists(record, at) and _reported(record, at)]
    for positive in known:
        if positive.result != Result.POSITIVE or positive.tube != Tube.SINGLE:
            continue
        walked, last = 0, None
        for negative in sorted(known, key=_sampled):
            if negative.result != Result.NEGATIVE or Tube(negative.tube).name.lower() not in policy.clearance.tubes:
                continue
            if _sampled(negative) <= _sampled(positive):
                continue
            if last is None or _sampled(negative) >= last + policy.clearance.apart_hours * HOUR:
                walked, last = walked + 1, _sampled(negative)
        if walked < policy.clearance.negatives:
            return True
    return False


def retest_owed(records: list[Record], at: Instant) -> bool:
    """Tells if any positive pool has no later single result."""
    known = [record for record in records if _exists(record, at) and _reported(record, at)]
    singles = [r for r in known if r.tube == Tube.SINGLE and r.result in (Result.NEGATIVE, Result.POSITIVE)]
    return any(
        pool.result == Result.POSITIVE
        and pool.tube != Tube.SINGLE
        and not any(_sampled(single) > _sampled(pool) for single in singles)
        for pool in known
    )
