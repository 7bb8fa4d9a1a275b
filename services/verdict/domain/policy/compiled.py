"""A policy made ready to be judged by, once and not per verdict: names resolved, texts written, hours in
microseconds."""

from collections.abc import Iterable

from msgspec import Struct

from services.common.errors import Text
from services.common.instants import HOUR, MINUTE, SECOND, Instant
from services.common.regions import divisions
from services.verdict.domain.evidence.values import Channel, Result, Scene, Tube
from services.verdict.domain.policy.contents import (
    ClauseEntry,
    Colours,
    NoticeEntry,
    NoticeFile,
    PlainWindow,
    PolicyFile,
    SilenceEntry,
    content_hash,
    policy_id,
)
from services.verdict.domain.reasons import wording
from services.verdict.domain.rules.clauses import Clause
from services.verdict.domain.rules.days import DayCount
from services.verdict.domain.rules.notice import NoticeRule
from services.verdict.domain.rules.positives import ClearanceRule
from services.verdict.domain.rules.silence import SilenceRule
from services.verdict.domain.rules.windows import Window
from services.verdict.domain.verdict import AWAITING_RESULT, NATIONAL_NOTICE, Colour, PolicyRef, Status


class PolicyError(Exception):
    """A policy says something that cannot be meant; `path` is where in the file, such as $.clauses[0].origins."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path}: {message}")
        self.path = path
        self.message = message


class Rules(Struct, frozen=True, kw_only=True):
    """The rules of a policy, general or for a scene. No clauses: nothing is asked. `exempt_under` is an age in full
    years, 0 where nobody is exempt."""

    clauses: tuple[Clause, ...]
    notice_rule: NoticeRule
    exempt_under: int
    of_a_scene: bool


class CompiledPolicy(Struct, frozen=True, kw_only=True):
    """One version of a region's policy. `scenes` holds the rules of the scenes it names, by number."""

    ref: PolicyRef
    source: PolicyFile
    general: Rules
    scenes: dict[int, Rules]
    waiting: Clause
    days: DayCount
    clearance: ClearanceRule
    silence: SilenceRule
    colours: dict[Status, Colour]

    @property
    def starts(self) -> Instant:
        """Returns when it comes into force."""
        return self.ref.effective_from

    def rules(self, scene: int) -> Rules:
        """Returns the rules that judge in a scene: its own, or the general ones."""
        return self.scenes.get(scene, self.general)

    def all_rules(self) -> tuple[Rules, ...]:
        """Returns the general rules, then those of scenes, each once."""
        return (self.general, *{id(rules): rules for rules in self.scenes.values()}.values())


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

    @property
    def asked_only_in(self) -> frozenset[int] | None:
        """Returns the only scenes in which something may be asked while it is in force; None where it ends nothing."""
        names = self.source.asked_only_in
        return None if names is None else _scenes(names)


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
    general = Rules(
        clauses=_clauses(policy.clauses, policy.requires, policy.region, "$"),
        notice_rule=_notice_rule(policy.notice),
        exempt_under=0 if policy.exempt is None else policy.exempt.under_age,
        of_a_scene=False,
    )
    return CompiledPolicy(
        ref=_ref(policy),
        source=policy,
        general=general,
        scenes=_scene_rules(policy, general),
        waiting=_plain(AWAITING_RESULT, wording.AWAITING_GROUND, Result.AWAITED, policy.pending, from_reported=False),
        days=DayCount(
            policy.days_since_test.kept == "own",
            _time_of_day(policy.days_since_test.night_report_until),
            policy.days_since_test.held_day or 0,
        ),
        clearance=ClearanceRule(
            policy.clearance.negatives, _hours(policy.clearance.apart_hours), _tubes(policy.clearance.tubes)
        ),
        silence=_silence(policy.silence or SilenceEntry()),
        colours=_colours(policy.colours),
    )


def _clauses(
    entries: tuple[ClauseEntry, ...] | None, requires: str | None, region: str, path: str
) -> tuple[Clause, ...]:
    if (entries is None) == (requires is None):
        raise PolicyError(path, "give either clauses, or requires: nothing")
    seen: set[str] = set()
    for position, entry in enumerate(entries or ()):
        if entry.id in seen:
            raise PolicyError(f"{path}.clauses[{position}].id", f"a second clause with id {entry.id}")
        seen.add(entry.id)
    return tuple(_clause(entry, region, f"{path}.clauses[{position}]") for position, entry in enumerate(entries or ()))


def _scene_rules(policy: PolicyFile, general: Rules) -> dict[int, Rules]:
    rules: dict[int, Rules] = {}
    for position, entry in enumerate(policy.scenes or ()):
        path = f"$.scenes[{position}]"
        compiled = Rules(
            clauses=_clauses(entry.clauses, entry.requires, policy.region, path),
            notice_rule=general.notice_rule if entry.notice is None else _notice_rule(entry.notice),
            exempt_under=general.exempt_under if entry.exempt is None else entry.exempt.under_age,
            of_a_scene=True,
        )
        for name in entry.scenes:
            number = Scene[name.upper()]
            if number in rules:
                raise PolicyError(f"{path}.scenes", f"the scene {name} has rules already")
            rules[number] = compiled
    return rules


def _notice_rule(entry: NoticeEntry) -> NoticeRule:
    return NoticeRule(
        entry.mode == "enforce",
        _plain(NATIONAL_NOTICE, wording.NOTICE_GROUND, Result.NEGATIVE, entry.window, from_reported=True),
    )


def _silence(entry: SilenceEntry) -> SilenceRule:
    return SilenceRule(round(entry.marked_after_seconds * SECOND), _hours(entry.undetermined_after_hours))


def _colours(colours: Colours) -> dict[Status, Colour]:
    names: dict[Status, str] = {
        Status.RECOGNISED: colours.recognised,
        Status.NOT_RECOGNISED: colours.not_recognised,
        Status.PENDING: colours.pending,
        Status.POSITIVE: colours.positive,
        Status.RETEST_REQUIRED: colours.retest_required,
        Status.UNDETERMINED: colours.undetermined,
        Status.NOT_REQUIRED: colours.not_required or colours.recognised,
    }
    return {status: Colour[name.upper()] for status, name in names.items()}


def _scenes(names: Iterable[str]) -> frozenset[int]:
    return frozenset(Scene[name.upper()] for name in names)


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
        window=Window(
            _hours(entry.window.hours),
            entry.window.from_ == "reported",
            entry.window.edge == "inclusive",
            entry.window.sampling_time == "required",
        ),
        tests=1 if entry.count is None else entry.count.tests,
        apart=0 if entry.count is None else _hours(entry.count.apart_hours),
    )
