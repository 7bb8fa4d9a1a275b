"""A policy made ready to be judged by, once and not per verdict: names resolved, texts written, hours in
microseconds."""

from collections.abc import Iterable

from msgspec import Struct

from services.common.errors import Text
from services.common.instants import HOUR, MINUTE, Instant
from services.common.regions import divisions
from services.verdict.domain.evidence.values import Channel, Result, Tube
from services.verdict.domain.policy.contents import (
    ClauseEntry,
    NoticeFile,
    PlainWindow,
    PolicyFile,
    content_hash,
    policy_id,
)
from services.verdict.domain.reasons import wording
from services.verdict.domain.rules.clauses import Clause
from services.verdict.domain.rules.days import DayCount
from services.verdict.domain.rules.notice import NoticeRule
from services.verdict.domain.rules.positives import ClearanceRule
from services.verdict.domain.rules.windows import Window
from services.verdict.domain.verdict import AWAITING_RESULT, NATIONAL_NOTICE, Colour, PolicyRef, Status


class PolicyError(Exception):
    """A policy says something that cannot be meant; `path` is where in the file, such as $.clauses[0].origins."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path}: {message}")
        self.path = path
        self.message = message


class CompiledPolicy(Struct, frozen=True, kw_only=True):
    """One version of a region's policy."""

    ref: PolicyRef
    source: PolicyFile
    clauses: tuple[Clause, ...]
    notice_rule: NoticeRule
    waiting: Clause
    days: DayCount
    clearance: ClearanceRule
    colours: dict[Status, Colour]

    @property
    def starts(self) -> Instant:
        """Returns when it comes into force."""
        return self.ref.effective_from


class CompiledNotice(Struct, frozen=True):
    """One version of the national notice."""

    ref: PolicyRef
    source: NoticeFile

    @property
    def starts(self) -> Instant:
        """Returns when it comes into force."""
        return self.ref.effective_from

    @property
    def binds(self) -> bool:
        """Says whether it binds while in force."""
        return self.source.binds


def _ref(policy: PolicyFile | NoticeFile) -> PolicyRef:
    try:
        starts = policy.starts()
    except ValueError as error:
        raise PolicyError("$.effective_from", str(error)) from None
    return PolicyRef(policy.region, policy_id(policy), content_hash(policy), starts)


def compile_notice(notice: NoticeFile) -> CompiledNotice:
    """Makes the notice ready. Raises PolicyError."""
    return CompiledNotice(_ref(notice), notice)


def compile_policy(policy: PolicyFile) -> CompiledPolicy:
    """Makes the policy ready. Raises PolicyError where a name means nothing or a clause contradicts itself."""
    if policy.region not in divisions():
        raise PolicyError("$.region", f"there is no division {policy.region} in GB/T 2260")
    seen: set[str] = set()
    for position, entry in enumerate(policy.clauses):
        if entry.id in seen:
            raise PolicyError(f"$.clauses[{position}].id", f"a second clause with id {entry.id}")
        seen.add(entry.id)
    return CompiledPolicy(
        ref=_ref(policy),
        source=policy,
        clauses=tuple(
            _clause(entry, policy.region, f"$.clauses[{position}]") for position, entry in enumerate(policy.clauses)
        ),
        notice_rule=NoticeRule(
            policy.notice.mode == "enforce",
            _plain(NATIONAL_NOTICE, wording.NOTICE_GROUND, Result.NEGATIVE, policy.notice.window, from_reported=True),
        ),
        waiting=_plain(AWAITING_RESULT, wording.AWAITING_GROUND, Result.AWAITED, policy.pending, from_reported=False),
        days=DayCount(policy.days_since_test.kept == "own", _time_of_day(policy.days_since_test.night_report_until)),
        clearance=ClearanceRule(
            policy.clearance.negatives, _hours(policy.clearance.apart_hours), _tubes(policy.clearance.tubes)
        ),
        colours={status: Colour[getattr(policy.colours, status.name.lower()).upper()] for status in Status},
    )


def _hours(hours: float) -> int:
    return round(hours * HOUR)


def _time_of_day(text: str | None) -> int:
    if text is None:
        return 0
    hours, _, minutes = text.partition(":")
    return int(hours) * HOUR + int(minutes) * MINUTE


def _tubes(names: Iterable[str]) -> frozenset[int]:
    return frozenset(Tube[name.upper()] for name in names)


def _plain(clause_id: str, text: Text, result: Result, window: PlainWindow, *, from_reported: bool) -> Clause:
    return Clause(
        id=clause_id,
        text=text,
        requirement=wording.plain_requirement(result, window.hours, from_reported=from_reported, edge=window.edge),
        result=result,
        origins=None,
        channels=None,
        tubes=None,
        window=Window(_hours(window.hours), from_reported, window.edge == "inclusive"),
    )


def origins_of(names: Iterable[str], region: str, path: str) -> frozenset[str] | None:
    """Returns the regions that these names stand for in `region`'s policy; None for anywhere. Raises PolicyError."""
    regions: set[str] = set()
    for name in names:
        if name == "anywhere":
            return None
        if name == "local":
            regions.add(region)
        elif name.startswith("bloc:"):
            members = {code for code, division in divisions().items() if division.bloc == name.removeprefix("bloc:")}
            if not members:
                raise PolicyError(path, f"there is no bloc {name.removeprefix('bloc:')}")
            regions |= members
        elif name in divisions():
            regions.add(name)
        else:
            raise PolicyError(path, f"there is no division {name} in GB/T 2260")
    return frozenset(regions)


def _clause(entry: ClauseEntry, region: str, path: str) -> Clause:
    awaited = entry.evidence == "sampling_record"
    if awaited and entry.window.from_ == "reported":
        raise PolicyError(f"{path}.window.from", "a sampling record has no report yet: count from sampled")
    if entry.count is not None and entry.count.apart_hours * (entry.count.tests - 1) > entry.window.hours:
        raise PolicyError(f"{path}.count", "so many tests so far apart do not fit into the window")
    return Clause(
        id=entry.id,
        text=Text(entry.text.zh, entry.text.en),
        requirement=wording.requirement(entry),
        result=Result.AWAITED if awaited else Result.NEGATIVE,
        origins=origins_of(entry.origins, region, f"{path}.origins"),
        channels=None if entry.channels is None else frozenset(Channel[name.upper()] for name in entry.channels),
        tubes=None if entry.tubes is None else _tubes(entry.tubes),
        window=Window(_hours(entry.window.hours), entry.window.from_ == "reported", entry.window.edge == "inclusive"),
        tests=1 if entry.count is None else entry.count.tests,
        apart=0 if entry.count is None else _hours(entry.count.apart_hours),
    )
