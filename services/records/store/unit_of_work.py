"""A write is one transaction in three steps: the store locks and reads what the decision rests on (`Touch`), a pure
function decides (`Known` to `Plan`), and the store appends what it decided, numbers it and commits. So no rule lives in
SQL, and none is decided on what another writer has changed meanwhile.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from hutong.records.v1.laboratory_pb2 import Laboratory

from services.common.errors import FailedPrecondition, invalid
from services.common.instants import Instant
from services.records.domain.conflicts import NewConflict, Settled, StoredConflict
from services.records.domain.correction_requests import Answered, NewCorrectionRequest, StoredCorrectionRequest
from services.records.domain.holders import Moved
from services.records.domain.replication import Cursor
from services.records.domain.revisions import FirstRevision, History, NewRevision, PersonRecord, RecordId
from services.records.domain.standing import NewLaboratory


@dataclass(frozen=True, slots=True)
class RequestKey:
    """Names a request across its retries; `fingerprint` tells whether a retry asks for the same."""

    key: str
    fingerprint: bytes
    same: frozenset[bytes] = frozenset()
    """Its fingerprints with people's keys of other versions: an earlier attempt may have been kept under one."""


@dataclass(frozen=True, slots=True)
class BatchKey:
    """Names a batch of an intake session: the session's batches are committed in order, from 1, without a gap."""

    session: str
    batch: int


@dataclass(frozen=True, slots=True)
class Touch:
    """The rows that a decision rests on; they are locked until the commit.

    `records`: ids, each with the person for whom it is claimed where there is no such record, or None to claim nothing.
    A claimed id must receive a revision by the same plan. `followed`: the region whose cursor moves. `conflict`: the
    one that is settled. `batch`: whose session moves on with the commit. `others`: what these people have, or had,
    under ids that may be another person's. `requester`: the keys of the person whose correction requests are looked at,
    `correction_request`: the one that is answered.
    """

    records: Mapping[RecordId, bytes | None] = field(default_factory=dict)
    laboratories: Sequence[str] = ()
    request: RequestKey | None = None
    followed: str = ""
    conflict: str = ""
    batch: BatchKey | None = None
    others: Collection[PersonRecord] = ()
    requester: Collection[bytes] = ()
    correction_request: str = ""
    key_version: int | None = None
    """The version that the keys of what is decided are of, where it matters: see KeysMovedError."""


class KeysMovedError(Exception):
    """The store writes keys of another version than the decision's: nothing was stored."""


@dataclass(frozen=True, slots=True)
class Known:
    """The state of what was touched. What is missing is not there. `histories` are of those whose the ids
    are, `others` of who was asked for besides. `requests` are the newest of the requester, newest first."""

    histories: Mapping[RecordId, History]
    laboratories: Mapping[str, Laboratory]
    cursor: Cursor
    conflict: StoredConflict | None = None
    others: Mapping[PersonRecord, History] = field(default_factory=dict)
    requests: Sequence[StoredCorrectionRequest] = ()
    correction_request: StoredCorrectionRequest | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """The plan of a commit: what to append, in this order, new records, further revisions, laboratories; where the
    followed region's cursor goes; conflicts to keep, and how one is settled; ids that change hands; a correction
    request to keep, and how one is answered; and the answer to the request, given the instant of the commit.
    `written_by` names who writes what is new; copies say it themselves."""

    answer: Callable[[Instant], bytes]
    revisions: Sequence[NewRevision] = ()
    laboratories: Sequence[NewLaboratory] = ()
    cursor: Cursor | None = None
    conflicts: Sequence[NewConflict] = ()
    settled: Settled | None = None
    firsts: Sequence[FirstRevision] = ()
    moved: Sequence[Moved] = ()
    requested: NewCorrectionRequest | None = None
    answered: Answered | None = None
    written_by: str = ""

    @property
    def count(self) -> int:
        """Returns how many numbers of the feed it takes."""
        return len(self.firsts) + len(self.revisions) + len(self.laboratories)


Decide = Callable[[Known], Plan]
"""Decides, or raises ServiceError, upon which nothing is stored. Pure: it may run in another thread, or twice."""


def check_key_version(touch: Touch, written: int) -> None:
    """Raises KeysMovedError unless the store still writes the version that a decision's keys are of; `written` is read
    with the head locked."""
    if touch.key_version is not None and touch.key_version != written:
        raise KeysMovedError


def batch_gap() -> FailedPrecondition:
    """Returns the error for a batch that would leave a gap in its session."""
    return FailedPrecondition(
        "BATCH_GAP", "前面的批次尚未入库，请重新打开会话", "Batches before this one are missing: open the session again"
    )


def check_retry(request: RequestKey, fingerprint: bytes) -> None:
    """Raises InvalidArgument (REQUEST_ID_REUSED) when an answered request was another one."""
    if fingerprint != request.fingerprint and fingerprint not in request.same:
        raise invalid(
            "request_id",
            "REQUEST_ID_REUSED",
            "该请求编号已用于另一请求",
            "Another request was answered under this request_id",
        )
