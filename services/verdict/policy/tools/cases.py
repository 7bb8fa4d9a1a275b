"""Cases: evidence written down with the verdict that is expected of it. They stand beside each policy
(`<date>.cases.yaml`), and the engine's own table has the same form.

A record in a case gives what matters and leaves the rest to defaults: a negative result of a single tube, reported by a
laboratory. Every instant has an offset.
"""

from collections.abc import Callable, Iterable
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Struct

from services.common.instants import Instant, format_rfc3339, parse_rfc3339
from services.verdict.domain.evidence.values import (
    ANY_REGION,
    Channel,
    Check,
    Evidence,
    Interval,
    Kind,
    Laboratory,
    LeftOut,
    Origin,
    Record,
    Result,
    Scene,
    Scope,
    Suspension,
    Tube,
)
from services.verdict.domain.judgement.judge import judge
from services.verdict.domain.policy.contents import ChannelName, ColourName, OffsetInstant, SceneName, TubeName
from services.verdict.domain.policy.policy_set import PolicySet
from services.verdict.domain.verdict import NoticeOutcome, Verdict
from services.verdict.policy.files import decoded, error_path, read_bytes
from services.verdict.policy.yaml_document import PolicyFileError, read_yaml


class CaseOrigin(Struct, frozen=True, forbid_unknown_fields=True):
    """The origin of a copy."""

    region: str
    id: str = ""
    revision: int = 0


class CaseRecord(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One record. Without `reported` it is a sampling record."""

    region: str
    id: str
    sampled: OffsetInstant | None = None
    reported: OffsetInstant | None = None
    result: Literal["negative", "positive", "inconclusive"] = "negative"
    tube: TubeName = "single"
    channel: ChannelName = "laboratory"
    laboratory: str = "lab"
    revision: int = 1
    retracted: bool = False
    origin: CaseOrigin | None = None


class CaseInterval(Struct, frozen=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """Half open."""

    from_: OffsetInstant | None = None
    to: OffsetInstant | None = None


class CaseLeftOut(Struct, frozen=True, forbid_unknown_fields=True):
    """The part of a past that a selection left out: something from before an instant, and so many records, or more."""

    before: OffsetInstant
    records: int
    at_least: bool = False


class CaseSuspension(Struct, frozen=True, forbid_unknown_fields=True):
    """Samples of this interval are void, from when it was recorded until it was lifted."""

    sampled: CaseInterval
    recorded: OffsetInstant | None = None
    lifted: OffsetInstant | None = None


class CaseLaboratory(Struct, frozen=True, forbid_unknown_fields=True):
    """A laboratory's in_force."""

    accredited: tuple[CaseInterval, ...] = ()
    suspensions: tuple[CaseSuspension, ...] = ()


class Expected(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The verdict that is expected; what is left out is not looked at. `grounds` are clauses, each with its evidence as
    region/id; `reasons` are codes, each with its evidence where there is some; `further` are codes with how many more
    there are, such as "WINDOW_EXPIRED 197", and `further_words` what is said of them in English; `rules` are those that
    judged."""

    status: Literal[
        "recognised", "not_recognised", "pending", "positive", "retest_required", "undetermined", "not_required"
    ]
    colour: ColourName | None = None
    days_since_test: int | msgspec.UnsetType | None = msgspec.UNSET
    days_evidence: str | msgspec.UnsetType | None = msgspec.UNSET
    valid_until: OffsetInstant | msgspec.UnsetType | None = msgspec.UNSET
    fresh_until: OffsetInstant | msgspec.UnsetType | None = msgspec.UNSET
    grounds: dict[str, list[str]] | None = None
    reasons: tuple[str, ...] | None = None
    notice: Literal["none", "enforced", "refusal"] | None = None
    national_would_recognise: bool | None = None
    newest: str | msgspec.UnsetType | None = msgspec.UNSET
    laboratories: tuple[str, ...] | None = None
    policy: str | None = None
    rules: Literal["general", "scene"] | None = None
    further: tuple[str, ...] | None = None
    further_words: tuple[str, ...] | None = None


class Case(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One case. Several instants, each with its own expectation, may share the evidence. `left_out` is by region, or
    under "any"."""

    name: str
    region: str = ""
    scope: Literal["local", "national"] = "national"
    known_at: OffsetInstant | None = None
    scene: SceneName | None = None
    born: Annotated[str, msgspec.Meta(pattern=r"^\d{4}-\d\d-\d\d$")] | None = None
    records: tuple[CaseRecord, ...] = ()
    laboratories: dict[str, CaseLaboratory] = {}
    coverage: dict[str, Literal["ok", "unreachable"]] = {}
    known_until: dict[str, OffsetInstant] = {}
    left_out: dict[str, CaseLeftOut] = {}
    at: dict[OffsetInstant, Expected]


class CasesFile(Struct, frozen=True, forbid_unknown_fields=True):
    """The cases of one file; `region` is the one asked in all that do not name their own."""

    cases: tuple[Case, ...]
    region: str = ""


class Outcome(Struct, frozen=True):
    """The outcome of one case at one instant; no differences means that it passed."""

    where: str
    name: str
    differences: tuple[str, ...]


def read_cases(path: Path) -> tuple[CasesFile, Callable[[int], str]]:
    """Reads the cases of a file, and a function from a case's position to its file:line. Raises PolicyFileError."""
    document = read_yaml(decoded(read_bytes(path), path), str(path))
    try:
        cases = msgspec.convert(document.data, CasesFile)
    except msgspec.ValidationError as error:
        message = str(error)
        raise PolicyFileError(f"{path}:{document.line(error_path(message))}", message) from None
    return cases, lambda position: f"{path}:{document.line(f'$.cases[{position}]')}"


def run_cases(path: Path, policies: PolicySet) -> list[Outcome]:
    """Judges every case of a file. Raises PolicyFileError, and NoPolicyInForce where a case asks outside any policy."""
    file, where = read_cases(path)
    outcomes: list[Outcome] = []
    for position, case in enumerate(file.cases):
        evidence, check = evidence_of(case, file.region), _check(case, where(position))
        for text, expected in case.at.items():
            at = parse_rfc3339(text)
            known_at = at if case.known_at is None else parse_rfc3339(case.known_at)
            verdict = judge(evidence, policies, at, known_at, check)
            outcomes.append(Outcome(where(position), f"{case.name} @ {text}", tuple(_differences(verdict, expected))))
    return outcomes


def _check(case: Case, where: str) -> Check:
    try:
        born = None if case.born is None else date.fromisoformat(case.born)
    except ValueError as error:
        raise PolicyFileError(where, f"{error} - at `$.born`") from None
    return Check(Scene.NONE if case.scene is None else Scene[case.scene.upper()], born)


def _instant(text: str | None) -> Instant | None:
    return None if text is None else parse_rfc3339(text)


def _interval(interval: CaseInterval) -> Interval:
    return Interval(_instant(interval.from_), _instant(interval.to))


def evidence_of(case: Case, region: str = "") -> Evidence:
    """Returns the evidence that a case is about."""
    return Evidence(
        region=case.region or region,
        scope=Scope[case.scope.upper()],
        records=tuple(_record(record) for record in case.records),
        laboratories={
            name: Laboratory(
                name,
                tuple(_interval(interval) for interval in laboratory.accredited),
                tuple(
                    Suspension(_interval(s.sampled), _instant(s.recorded), _instant(s.lifted))
                    for s in laboratory.suspensions
                ),
            )
            for name, laboratory in case.laboratories.items()
        },
        coverage={source: answer == "ok" for source, answer in case.coverage.items()},
        known_until={source: parse_rfc3339(instant) for source, instant in case.known_until.items()},
        left_out={
            ANY_REGION if name == "any" else name: LeftOut(
                parse_rfc3339(left_out.before), left_out.records, left_out.at_least
            )
            for name, left_out in case.left_out.items()
        },
    )


def _record(record: CaseRecord) -> Record:
    reported = record.reported is not None
    return Record(
        region=record.region,
        source_id=record.id,
        revision=record.revision,
        kind=Kind.RESULT if reported else Kind.SAMPLING,
        result=Result[record.result.upper()] if reported else Result.AWAITED,
        tube=Tube[record.tube.upper()],
        channel=Channel[record.channel.upper()],
        laboratory=record.laboratory,
        sampled_at=_instant(record.sampled),
        reported_at=_instant(record.reported),
        retracted=record.retracted,
        origin=None
        if record.origin is None
        else Origin(record.origin.region, record.origin.id, record.origin.revision),
    )


def _name(record: Record) -> str:
    return f"{record.region}/{record.source_id}"


def _differences(verdict: Verdict, expected: Expected) -> Iterable[str]:
    actual: dict[str, object] = {
        "status": verdict.status.name.lower(),
        "colour": verdict.colour.name.lower(),
        "days_since_test": verdict.days_since_test,
        "days_evidence": None if verdict.days_evidence is None else _name(verdict.days_evidence),
        "grounds": {ground.clause: [_name(record) for record in ground.evidence] for ground in verdict.grounds},
        "reasons": tuple(
            reason.code if reason.evidence is None else f"{reason.code} {_name(reason.evidence)}"
            for reason in verdict.reasons
        ),
        "notice": NoticeOutcome(verdict.notice).name.lower(),
        "national_would_recognise": verdict.national_would_recognise,
        "newest": None if verdict.newest is None else _name(verdict.newest.content),
        "laboratories": verdict.laboratories,
        "policy": verdict.policy.policy_id,
        "rules": "scene" if verdict.judged_by_scene_rules else "general",
        "further": tuple(f"{further.code} {further.count}" for further in verdict.further_reasons),
        "further_words": tuple(further.text.en for further in verdict.further_reasons if further.text),
    }
    for name, value in actual.items():
        wanted = getattr(expected, name)
        looked_at = wanted is not msgspec.UNSET and (wanted is not None or name in _MAY_BE_NONE)
        if looked_at and wanted != value:
            yield f"{name}: expected {wanted}, got {value}"
    for name in ("valid_until", "fresh_until"):
        wanted = getattr(expected, name)
        value = getattr(verdict, name)
        if wanted is not msgspec.UNSET and _instant(wanted) != value:
            yield f"{name}: expected {wanted}, got {None if value is None else format_rfc3339(value)}"


_MAY_BE_NONE = frozenset({"days_since_test", "days_evidence", "newest"})
