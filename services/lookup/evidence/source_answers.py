"""Questions to a record store, and its answers."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from google.protobuf.timestamp_pb2 import Timestamp
from hutong.common.v1.subject_pb2 import Purpose
from hutong.lookup.v1.evidence_service_pb2 import SourceStatus
from hutong.records.v1.record_pb2 import TestRecord
from hutong.records.v1.record_read_service_pb2 import (
    BatchListRecordsResponse,
    LeftOutRecords,
    PersonRecords,
    RecordSelection,
)

from services.common.instants import Instant, from_timestamp
from services.lookup.evidence.laboratory_tables import EMPTY, LaboratoryTable

OK = SourceStatus.SOURCE_STATUS_OK
UNREACHABLE = SourceStatus.SOURCE_STATUS_UNREACHABLE

_NEVER = Instant(0)


@dataclass(frozen=True, slots=True)
class SourceQuestion:
    """The terms on which all sources of a batch are asked: as known at an instant or, without one, at `asked_at`, now;
    of a person's past what the selection says, or all of it. Those that are down at that instant are not asked."""

    purpose: Purpose.ValueType
    known_at: Instant | None
    asked_at: Instant | None = None
    down: Collection[str] = ()
    selection: RecordSelection | None = None


@dataclass(frozen=True, slots=True)
class SourceAnswer:
    """The answer of one source, or its silence.

    Of people without records nothing is in `people`. `silent` are the regions that the source, being the nation's, does
    not speak for, those it has not heard of lately, and up to when it knows each: the epoch, where it does not know
    that. `reason` is why an answer was not used that did come. A source that
    did not answer has said nothing.
    """

    source: str
    status: SourceStatus.ValueType
    reason: str = ""
    as_of: Timestamp | None = None
    known_at: Instant = _NEVER
    people: Mapping[bytes, PersonRecords] = field(default_factory=dict)
    laboratories: LaboratoryTable = EMPTY
    silent: Mapping[str, Timestamp] = field(default_factory=dict)
    follows: Collection[str] = ()

    def records(self, key: bytes) -> Sequence[TestRecord]:
        """Returns the records under a key."""
        person = self.people.get(key)
        return () if person is None else person.records

    def left_out(self, key: bytes) -> Sequence[LeftOutRecords]:
        """Returns what a selection left out of the records under a key."""
        person = self.people.get(key)
        return () if person is None else person.left_out


class MalformedAnswerError(Exception):
    """A source answered something else than it was asked."""


def _unknown(response: BatchListRecordsResponse) -> Sequence[Timestamp]:
    """Returns the epoch for each region that is behind, in the place of what an older store does not tell."""
    return [Timestamp()] * (len(response.behind) - len(response.behind_as_of))


def unreachable(source: str, reason: str = "") -> SourceAnswer:
    """Returns the answer of a source that said nothing that can be used."""
    return SourceAnswer(source, UNREACHABLE, reason)


def read_answer(
    source: str, keys: Sequence[bytes], response: BatchListRecordsResponse, laboratories: LaboratoryTable
) -> SourceAnswer:
    """Returns what a source answered about people. Raises MalformedAnswerError."""
    people = response.people
    if len(people) != len(keys):
        raise MalformedAnswerError(f"{len(people)} people for {len(keys)} subjects")
    known: dict[bytes, PersonRecords] = {}
    for key, person in zip(keys, people, strict=True):
        # An answer in another order would attribute tests to the wrong people.
        if person.person_key != key:
            raise MalformedAnswerError("people in another order than the subjects")
        if person.records or person.left_out:
            known[key] = person
    return SourceAnswer(
        source,
        OK,
        as_of=response.as_of if response.HasField("as_of") else None,
        known_at=from_timestamp(response.known_at) if response.HasField("known_at") else _NEVER,
        people=known,
        laboratories=laboratories,
        silent=dict(zip(response.behind, [*response.behind_as_of, *_unknown(response)], strict=False)),
        follows=tuple(feed.region for feed in response.identity.follows),
    )
