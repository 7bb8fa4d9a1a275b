"""Questions about evidence, as the gatherer takes them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hutong.lookup.v1.evidence_service_pb2 import Evidence
from hutong.lookup.v1.region_pb2 import Scope
from hutong.records.v1.record_read_service_pb2 import RecordSelection

from services.common.instants import Instant
from services.lookup.domain.holders import KeyAt, Person
from services.lookup.domain.selections import common_selection

# Looked up once: on an enum of protobuf's this costs as much as reading a field.
_LOCAL, _NATIONAL = Scope.SCOPE_LOCAL, Scope.SCOPE_NATIONAL


@dataclass(frozen=True, slots=True)
class EvidenceQuestion:
    """One question, checked. `known_at` None means now; `deadline` is an instant of the monotonic clock in seconds. Of
    the person's past, what the selection says is wanted, or all of it."""

    key: bytes
    region: str
    scope: Scope.ValueType
    known_at: Instant | None
    deadline: float
    selection: RecordSelection | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """A question, and the empty message that its evidence goes into."""

    question: EvidenceQuestion
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class PersonQuestion:
    """A question with all keys of its person, the scope that applies, and where its evidence goes."""

    question: EvidenceQuestion
    keys: tuple[bytes, ...]
    scope: Scope.ValueType
    evidence: Evidence


def of_people(wanted: Sequence[Wanted], people: Mapping[bytes, Person]) -> list[PersonQuestion]:
    """Returns the questions with what is known of their holders now."""
    return [_of(one, people.get(one.question.key)) for one in wanted]


def of_people_at(wanted: Sequence[Wanted], people: Mapping[KeyAt, Person], at: Instant) -> list[PersonQuestion]:
    """Returns the questions with what was known of their holders at an instant."""
    return [_of(one, people.get((one.question.key, at))) for one in wanted]


def keys_of(wanted: Sequence[Wanted]) -> list[bytes]:
    """Returns the keys asked about, each once."""
    return list({one.question.key for one in wanted})


def _of(wanted: Wanted, person: Person | None) -> PersonQuestion:
    question = wanted.question
    if person is None:
        return PersonQuestion(question, (question.key,), question.scope or _NATIONAL, wanted.evidence)
    scope = question.scope or person.scopes.get(question.region, _NATIONAL)
    return PersonQuestion(question, person.keys, scope, wanted.evidence)


def selection_for(asked: Sequence[PersonQuestion]) -> RecordSelection | None:
    """Returns a selection that gives each question at least what it wants; None when one of them wants everything."""
    own = {one.question.region for one in asked if one.scope == _LOCAL}
    return common_selection([one.question.selection for one in asked], own)
