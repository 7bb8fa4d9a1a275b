"""Turns evidence queries into questions: checked, with documents turned into keys."""

from collections.abc import Sequence
from functools import partial

from hutong.lookup.v1.evidence_service_pb2 import EvidenceQuery

from services.common.documents import PERSON_KEY_BYTES, PersonKeys
from services.common.instants import from_timestamp
from services.common.requests import fields, selections
from services.common.requests.batches import check_batch
from services.common.requests.instants import known_at
from services.common.requests.violations import Violations
from services.lookup.evidence.questions import EvidenceQuestion


def one(query: EvidenceQuery, keys: PersonKeys, deadline: float, field: str = "query") -> EvidenceQuestion:
    """Returns the question a query asks. `deadline` is an instant of the monotonic clock in seconds.

    Raises InvalidArgument naming every wrong field below `field`: REGION_REQUIRED, REGION_UNKNOWN, SCOPE_UNKNOWN,
    INSTANT_RANGE, or as PersonKeys.of_subject does.
    """
    violations = Violations()
    question = _question(query, keys, deadline, field, violations)
    violations.refuse()
    return question


def many(queries: Sequence[EvidenceQuery], keys: PersonKeys, deadline: float) -> list[EvidenceQuestion]:
    """Returns the questions of a batch. Raises InvalidArgument: BATCH_SIZE, or the wrong fields of all queries."""
    check_batch(len(queries), "queries")
    violations = Violations()
    questions = [
        _question(query, keys, deadline, f"queries[{index}]", violations) for index, query in enumerate(queries)
    ]
    violations.refuse()
    return questions


def _question(
    query: EvidenceQuery, keys: PersonKeys, deadline: float, field: str, violations: Violations
) -> EvidenceQuestion:
    key = query.subject.person_key
    if len(key) != PERSON_KEY_BYTES:
        key = violations.read(b"", partial(keys.of_subject, query.subject, f"{field}.subject"))
    region, scope = query.region, query.scope
    violations.add(fields.region(region, f"{field}.region"))
    violations.add(fields.scope(scope, f"{field}.scope"))
    instant = None
    if query.HasField("known_at"):
        violations.add(known_at(query.known_at, f"{field}.known_at"))
        instant = from_timestamp(query.known_at)
    selection = None
    if query.HasField("selection"):
        selection = query.selection
        violations.add(selections.selection(selection, f"{field}.selection"))
    return EvidenceQuestion(key, region, scope, instant, deadline, selection)
