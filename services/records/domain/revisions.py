"""A record is its revisions: what is stored of each, and what is to be stored of the next."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from hutong.records.v1.record_pb2 import RecordContent, RevisionAction, TestRecord

from services.common.instants import Instant, from_timestamp
from services.records.domain.content import digest, latest_at, placed_at
from services.records.domain.weight import AGAINST, Weight, weight_of

_SUBMITTED = RevisionAction.REVISION_ACTION_SUBMITTED
_RETRACTED = RevisionAction.REVISION_ACTION_RETRACTED
_CONTESTED = RevisionAction.REVISION_ACTION_CONTESTED


class RecordId(NamedTuple):
    """The identity of a record: the region that keeps it and its id there."""

    region: str
    source_id: str


class PersonRecord(NamedTuple):
    """A record of one person, who has, or had, this id."""

    person_key: bytes
    id: RecordId


@dataclass(frozen=True, slots=True)
class StoredRevision:
    """One revision as a decision needs it. `body` is the serialised TestRecord."""

    revision: int
    person_key: bytes
    digest: bytes
    retracted: bool
    body: bytes

    def message(self) -> TestRecord:
        """Returns the revision as a message."""
        return TestRecord.FromString(self.body)

    @property
    def contested(self) -> bool:
        """Tells if it stands only until a conflict is settled, being the graver of two statements."""
        return self.message().action == _CONTESTED


History = Sequence[StoredRevision]
"""Every revision of one record, oldest first; empty when there is no such record."""


def laboratory_of(history: History) -> str:
    """Returns the laboratory whose record it is, empty when there is none: that of the last statement that does not
    merely stand until a conflict is settled."""
    settled = next((revision for revision in reversed(history) if not revision.contested), None)
    return settled.message().content.laboratory if settled is not None else ""


@dataclass(frozen=True, slots=True)
class NewRevision:
    """One revision to append.

    `body` is the serialised TestRecord; without its `recorded_at` where that is None here, for the store to stamp at
    commit. A copy of another store's revision keeps the instant of the original.
    """

    id: RecordId
    revision: int
    person_key: bytes
    digest: bytes
    retracted: bool
    placed_at: Instant
    latest_at: Instant
    weight: Weight
    laboratory: str
    body: bytes
    recorded_at: Instant | None = None
    origin: RecordId | None = None
    """Where it is a copy that names its original: that."""

    def as_stored(self) -> StoredRevision:
        """Returns what the next decision of the same transaction sees of it."""
        return StoredRevision(self.revision, self.person_key, self.digest, self.retracted, self.body)


class FirstRevision(NamedTuple):
    """The first revision of a new record, ready to be stored: a NewRevision with less to it, for intake by the
    thousand.

    `body` is the serialised TestRecord without its `recorded_at`.
    """

    region: str
    source_id: str
    person_key: bytes
    placed_at: int
    latest_at: int
    weight: int
    laboratory: str
    digest: bytes
    body: bytes
    origin: RecordId | None = None
    """Where it is a copy that names its original: that."""


_LENGTHS = [bytes([n]) if n < 128 else bytes([n & 0x7F | 0x80, n >> 7]) for n in range(1 << 14)]


def first_body(head: bytes, source_id: str, person_key: bytes, content: bytes) -> bytes:
    """The serialised TestRecord of a first revision, put together from parts: a third of the cost of making a message.

    `head` is the serialised TestRecord of its region alone; `person_key` has 16 bytes, `content` is serialised. Raises
    IndexError for a content of 16 kB and more, which no valid one has.
    """
    name = source_id.encode()
    return b"".join(
        (
            head,
            b"\x12",
            _LENGTHS[len(name)],
            name,
            b"\x18\x01\x22\x10",
            person_key,
            b"\x2a",
            _LENGTHS[len(content)],
            content,
            b"\x30\x01",
        )
    )


def first(record_id: RecordId, person_key: bytes, content: RecordContent, content_digest: bytes) -> NewRevision:
    """Returns the revision a new record begins with."""
    return _new(record_id, 1, person_key, content, content_digest, _SUBMITTED, "")


def first_amended(
    record_id: RecordId, person_key: bytes, content: RecordContent, content_digest: bytes, cause: str
) -> NewRevision:
    """Returns the revision a record begins with whose source has corrected it before this store heard of it."""
    amended = RevisionAction.REVISION_ACTION_AMENDED
    return _new(record_id, 1, person_key, content, content_digest, amended, cause)


def next_after(
    history: History,
    record_id: RecordId,
    content: RecordContent,
    action: RevisionAction.ValueType,
    cause: str,
    content_digest: bytes | None = None,
) -> NewRevision:
    """Returns the revision that follows a history, of the same person."""
    current = history[-1]
    return _new(
        record_id,
        current.revision + 1,
        current.person_key,
        content,
        content_digest or digest(content),
        action,
        cause,
    )


def taken_over(
    record_id: RecordId, revision: int, person_key: bytes, content: RecordContent, cause: str
) -> NewRevision:
    """Returns a revision by which a record that was another person's becomes this one's."""
    amended = RevisionAction.REVISION_ACTION_AMENDED
    return _new(record_id, revision, person_key, content, digest(content), amended, cause)


def copy_of(record: TestRecord) -> NewRevision:
    """Returns a revision of another store, exactly as it is there."""
    return NewRevision(
        RecordId(record.region, record.source_id),
        record.revision,
        record.person_key,
        digest(record.content),
        record.action == _RETRACTED,
        placed_at(record.content),
        latest_at(record.content),
        weight_of(record.content, retracted=record.action == _RETRACTED),
        record.content.laboratory,
        record.SerializeToString(),
        from_timestamp(record.recorded_at),
        origin_of(record.content),
    )


def always_given(weight: int, origin: RecordId | None) -> bool:
    """Says whether a selection of records gives a revision however old it is: it counts against the person, or its
    content is told by two records."""
    return weight in AGAINST or origin is not None


def origin_of(content: RecordContent) -> RecordId | None:
    """Returns the original that a copy names; None for what names none."""
    if not content.HasField("origin") or not content.origin.source_id:
        return None
    return RecordId(content.origin.region, content.origin.source_id)


def _new(
    record_id: RecordId,
    revision: int,
    person_key: bytes,
    content: RecordContent,
    content_digest: bytes,
    action: RevisionAction.ValueType,
    cause: str,
) -> NewRevision:
    record = TestRecord(
        region=record_id.region,
        source_id=record_id.source_id,
        revision=revision,
        person_key=person_key,
        content=content,
        action=action,
        cause=cause,
    )
    return NewRevision(
        record_id,
        revision,
        person_key,
        content_digest,
        action == _RETRACTED,
        placed_at(content),
        latest_at(content),
        weight_of(content, retracted=action == _RETRACTED),
        content.laboratory,
        record.SerializeToString(),
        origin=origin_of(content),
    )
