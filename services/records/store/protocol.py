"""What the service asks of a store. SQLite and PostgreSQL keep the same promises, held by one suite of tests.

A write is one transaction in three steps: the store locks and reads what the decision rests on (`Touch`), a pure
function decides (`Known` to `Plan`), and the store appends what it decided, numbers it and commits. So no rule lives in
SQL, and none is decided on what another writer has changed meanwhile.
"""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

from hutong.records.v1.laboratory_pb2 import Laboratory

from services.common.errors import FailedPrecondition, Unavailable, invalid
from services.common.instants import Instant
from services.records.domain.conflicts import NewConflict, Settled, StoredConflict
from services.records.domain.copying import Cursor
from services.records.domain.revisions import FirstRevision, History, NewRevision, RecordId
from services.records.domain.standing import NewLaboratory
from services.records.store.placed import PlacedRecord
from services.runtime.clock import Clock

if TYPE_CHECKING:
    from services.records.store.counts import CountStore

LATEST = Instant(2**62)
"""As `known_at`: everything."""


class CurrentRecord(NamedTuple):
    """The revision of a record that is current, or was at an instant. `body` is the serialised TestRecord; `arrived_at`
    the instant of its commit in this store, which for a record of a followed region is not that of its own."""

    person_key: bytes
    region: str
    source_id: str
    placed_at: int
    laboratory: str
    body: bytes
    arrived_at: Instant


class People(NamedTuple):
    """Records by person, newest sample first; a person without any is left out.

    `laboratories` is the sequence of the latest change to a laboratory that the store has committed. What a replica
    gave has everything up to `as_of`, and the feed up to `sequence`; where `as_of` is None, it has all there is.
    """

    records: Mapping[bytes, Sequence[CurrentRecord]]
    laboratories: int
    as_of: Instant | None = None
    sequence: int = 0


class Head(NamedTuple):
    """The end of the feed: the history it counts in, the greatest number used, and the mark of its commit."""

    feed_id: str
    sequence: int
    mark: bytes = b""


class ChangeRow(NamedTuple):
    """One change: a serialised TestRecord, or a serialised Laboratory; or, where `purged_from` is not 0, nothing any
    more: what was numbered from there up to `sequence` was purged."""

    sequence: int
    is_laboratory: bool
    body: bytes
    purged_from: int = 0


class LaboratoryRow(NamedTuple):
    """One revision of a laboratory, serialised, and the instant of its commit in this store."""

    sequence: int
    body: bytes
    arrived_at: Instant


class DueCopy(NamedTuple):
    """A copy whose original changed, or that is new: it is to be compared. `sequence` tells of which change."""

    id: RecordId
    sequence: int


class Lag(NamedTuple):
    """From `noted_at` on, a followed region was known up to `as_of`; None: it was being followed without delay."""

    region: str
    noted_at: Instant
    as_of: Instant | None


@dataclass(frozen=True, slots=True)
class RequestKey:
    """Names a request across its retries; `fingerprint` tells whether a retry asks for the same."""

    key: str
    fingerprint: bytes


@dataclass(frozen=True, slots=True)
class BatchKey:
    """Names a batch of an intake session: the session's batches are committed in order, from 1, without a gap."""

    session: str
    batch: int


@dataclass(frozen=True, slots=True)
class Touch:
    """What a decision rests on; it is locked until the commit.

    `records`: ids, each with the person for whom it is claimed where there is no such record, or None to claim nothing.
    A claimed id must receive a revision by the same plan. `followed`: the region whose cursor moves. `conflict`: the
    one that is settled. `batch`: whose session moves on with the commit.
    """

    records: Mapping[RecordId, bytes | None] = field(default_factory=dict)
    laboratories: Sequence[str] = ()
    request: RequestKey | None = None
    followed: str = ""
    conflict: str = ""
    batch: BatchKey | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """What the store has of what was touched. What is missing is not there."""

    histories: Mapping[RecordId, History]
    laboratories: Mapping[str, Laboratory]
    cursor: Cursor
    conflict: StoredConflict | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What to append, in this order, new records, further revisions, laboratories; where the followed region's cursor
    goes; conflicts to keep, and how one is settled; and the answer to the request, given the instant of the commit."""

    answer: Callable[[Instant], bytes]
    revisions: Sequence[NewRevision] = ()
    laboratories: Sequence[NewLaboratory] = ()
    cursor: Cursor | None = None
    conflicts: Sequence[NewConflict] = ()
    settled: Settled | None = None
    firsts: Sequence[FirstRevision] = ()

    @property
    def count(self) -> int:
        """How many numbers of the feed it takes."""
        return len(self.firsts) + len(self.revisions) + len(self.laboratories)


Decide = Callable[[Known], Plan]
"""Decides, or raises ServiceError, upon which nothing is stored. Pure: it may run in another thread, or twice."""


class RecordStore(Protocol):
    """Keeps revisions, laboratories, cursors and answers. Every method raises Unavailable (STORE_UNAVAILABLE) when the
    database does not do its part, never with the words of its driver."""

    poll_seconds: float
    """How often to look whether another process has committed."""

    async def ping(self) -> None:
        """Returns when the store can be read."""

    async def close(self) -> None:
        """Lets go of the database."""

    drives_copies: bool
    """Whether copies are listed as due when their originals change: in the nation, which sees both."""

    @property
    def counts(self) -> "CountStore":
        """Laboratories' figures, kept up to date beside the records."""

    async def settle(self, at: Instant, now: Instant) -> None:
        """See Stamps.settle."""

    async def people(self, person_keys: Sequence[bytes], known_at: Instant) -> People:
        """These people's records as they had arrived at an instant."""

    async def history(self, record_id: RecordId) -> Sequence[bytes]:
        """A record's revisions, serialised, oldest first; empty when there is no such record."""

    async def laboratories(self, after: int) -> Sequence[LaboratoryRow]:
        """The revisions of laboratories above a sequence, in order."""

    async def head(self) -> Head:
        """The end of the feed."""

    async def changes(self, after: int, most: int) -> Sequence[ChangeRow]:
        """Changes numbered above `after` and up to `after + most`, in order, purged ranges whole. One snapshot."""

    async def mark(self, sequence: int) -> bytes:
        """The mark of the commit that used a number; empty for 0, and for commits older than marks."""

    async def due_copies(self, regions: Sequence[str], most: int) -> Sequence[DueCopy]:
        """Copies kept in these regions that are to be compared with their originals."""

    async def copies_done(self, done: Sequence[DueCopy]) -> None:
        """These were compared; what became due again meanwhile stays due."""

    async def conflicts(self, after: int, most: int, settled_too: bool) -> Sequence[StoredConflict]:
        """Conflicts numbered above `after`, in order."""

    async def note_lag(self, lag: Lag) -> None:
        """Notes how far a followed region was known, for those who ask later."""

    async def lags(self) -> Sequence[Lag]:
        """All that was noted, in order of time."""

    async def cursors(self) -> Mapping[str, Cursor]:
        """Where this store stands in the feeds it follows, by region."""

    def placed(self, first: Instant, end: Instant, known_at: Instant) -> AsyncGenerator[Sequence[PlacedRecord], None]:
        """The records that, as known at an instant, were sampled (or, where that is unknown, reported) at `first` or
        later and before `end`, in batches and in no order.

        Reading them may take long; between batches others have their turn, and nothing in it keeps a writer waiting.
        """

    async def commit(self, touch: Touch, decide: Decide, clock: Clock) -> bytes:
        """One transaction: reads what is touched, decides, appends, and returns the answer when all of it is durable.

        Revisions that are new get `recorded_at`: the clock's instant, or later, so that it grows from commit to commit.
        A request that was answered before gets its first answer and changes nothing; under the same key another
        request is InvalidArgument (REQUEST_ID_REUSED). A batch whose session lacks the one before is FailedPrecondition
        (BATCH_GAP); one that was committed before is decided again, and moves nothing.
        """

    async def batches(self, session: str) -> int:
        """The greatest batch of a session that was committed; 0 for a session that is not known."""

    async def forget_answers(self, before: Instant) -> int:
        """Forgets the answers to requests answered, and the sessions that last moved, before an instant; how many."""


class Purged(NamedTuple):
    """One batch of a purge: how many records were deleted, and where in the feed to go on; None at its end."""

    records: int
    position: int | None


class RecordPurge(Protocol):
    """What ends a record's time in a store. Apart from RecordStore: services do not purge, operators do."""

    async def purge(self, before: Instant, position: int, most: int) -> Purged:
        """Looks at `most` revisions from a position in the feed on (0 at first), and deletes the whole records of those
        whose newest revision was committed before an instant, in one transaction. Their numbers are kept as purged."""


def merged_ranges(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """Numbers as ranges, first and last, in order."""
    ranges: list[tuple[int, int]] = []
    for number in sorted(numbers):
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1] = (ranges[-1][0], number)
        else:
            ranges.append((number, number))
    return ranges


def unavailable() -> Unavailable:
    """The error for whatever goes wrong in a database."""
    return Unavailable("STORE_UNAVAILABLE", "记录库暂不可用", "The records store is not available")


def batch_gap() -> FailedPrecondition:
    """The error for a batch that would leave a gap in its session."""
    return FailedPrecondition(
        "BATCH_GAP", "前面的批次尚未入库，请重新打开会话", "Batches before this one are missing: open the session again"
    )


def check_retry(request: RequestKey, fingerprint: bytes) -> None:
    """Raises InvalidArgument (REQUEST_ID_REUSED) when an answered request was another one."""
    if request.fingerprint != fingerprint:
        raise invalid(
            "request_id",
            "REQUEST_ID_REUSED",
            "该请求编号已用于另一请求",
            "Another request was answered under this request_id",
        )
