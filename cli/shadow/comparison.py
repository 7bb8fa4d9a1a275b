"""The differences between a region's own answer and the mesh's, and why the mesh answered so."""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

import msgspec
from hutong.lookup.v1.evidence_service_pb2 import SourceStatus
from hutong.verdict.v1.verdict_pb2 import Colour, Status, Verdict
from hutong.verdict.v1.verdict_service_pb2 import VerdictOutcome

from cli.shadow.questions import Answer
from services.common.errors import Code
from services.common.instants import format_rfc3339, from_timestamp, parse_rfc3339


class Agreement(StrEnum):
    """The relation of the two answers to one question."""

    SAME = "SAME"
    DIFFERENT = "DIFFERENT"
    UNANSWERED = "UNANSWERED"
    """The mesh refused the question, or could not tell (UNDETERMINED) where the region could."""


class Difference(NamedTuple):
    """A field whose values differ; `none` stands for no value."""

    field: str
    own: str
    mesh: str


class Comparison(NamedTuple):
    """One question's outcome. `why` are the grounds and reasons of the mesh's answer, empty where both say the same."""

    agreement: Agreement
    differences: Sequence[Difference]
    why: Sequence[str]


def compare(answer: Answer, outcome: VerdictOutcome) -> Comparison:
    """Returns how a region's answer and the mesh's outcome stand to each other."""
    if outcome.WhichOneof("outcome") != "verdict":
        error = outcome.error
        told = f"{Code(error.code).name} {error.reason}: {error.message.zh} {error.message.en}"
        fields = [f"{one.field}: {one.reason} {one.message.zh} {one.message.en}" for one in error.violations]
        return Comparison(Agreement.UNANSWERED, (), (told, *fields))
    verdict = outcome.verdict
    differences = [
        Difference(field, own, mesh) for field, own, mesh in _values(answer, verdict) if own is not None and own != mesh
    ]
    if not differences:
        return Comparison(Agreement.SAME, (), ())
    unsure = verdict.status == Status.STATUS_UNDETERMINED
    return Comparison(Agreement.UNANSWERED if unsure else Agreement.DIFFERENT, differences, _why(verdict))


def _values(answer: Answer, verdict: Verdict) -> Sequence[tuple[str, str | None, str]]:
    # None: the region's answer has no such field.
    days = verdict.days_since_test if verdict.HasField("days_since_test") else None
    until = format_rfc3339(from_timestamp(verdict.valid_until)) if verdict.HasField("valid_until") else None
    own_until = answer.valid_until
    if isinstance(own_until, str):
        own_until = format_rfc3339(parse_rfc3339(own_until))
    return (
        ("status", answer.status, Status.Name(verdict.status).removeprefix("STATUS_")),
        ("colour", _own(answer.colour), Colour.Name(verdict.colour).removeprefix("COLOUR_")),
        ("daysSinceTest", _own(answer.days_since_test), _shown(days)),
        ("validUntil", _own(own_until), _shown(until)),
    )


def _own(value: str | int | msgspec.UnsetType | None) -> str | None:
    return None if isinstance(value, msgspec.UnsetType) else _shown(value)


def _shown(value: str | int | None) -> str:
    return "none" if value is None else str(value)


def _why(verdict: Verdict) -> Sequence[str]:
    policy = f"policy {verdict.policy.policy_id}"
    grounds = [f"ground {one.clause}: {one.text.zh} {one.text.en}" for one in verdict.grounds]
    reasons = [
        f"reason {one.code}{f' ({one.clause})' if one.clause else ''}: {one.text.zh} {one.text.en}".rstrip(": ")
        for one in verdict.reasons
    ]
    silent = [
        f"source {one.source}: UNREACHABLE {one.reason}".rstrip()
        for one in verdict.coverage
        if one.status == SourceStatus.SOURCE_STATUS_UNREACHABLE
    ]
    return (policy, *grounds, *reasons, *silent)
