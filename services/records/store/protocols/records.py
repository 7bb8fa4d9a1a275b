"""What the service asks of a store. SQLite and PostgreSQL keep the same promises, held by one suite of tests."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from services.common.errors import Unavailable
from services.common.instants import Instant
from services.records.domain.conflicts import StoredConflict
from services.records.domain.replication import Cursor
from services.records.domain.revisions import RecordId
from services.records.store.by_time import PlacedRecord
from services.records.store.unit_of_work import Decide, Touch
from services.runtime.clock import Clock

if TYPE_CHECKING:
    from services.records.store.protocols.figures import CountStore

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
    gave has everything up to `as_of`, and the feed up to `sequence`; where `as_of` is None, it has all there is. What
    is missing, and was last revised before `purged_before`, may have been purged.
    """

    records: Mapping[bytes, Sequence[CurrentRecord]]
    laboratories: int
    as_of: Instant | None = None
    sequence: int = 0
    purged_before: Instant = Instant(0)


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

    async def people(self, person_keys: Sequence[bytes], known_at: Instant, *, original: bool = False) -> People:
        """These people's records as they had arrived at an instant; `original`: not from a replica."""

    async def history(self, record_id: RecordId) -> Sequence[bytes]:
        """A record's revisions, serialised, oldest first, of the person whose it is; empty when there is no such
        record."""

    async def former(self, record_id: RecordId) -> Sequence[bytes]:
        """The last revision, serialised, of each person who had this id before; nearly always of nobody."""

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


def unavailable(error: Exception | None = None) -> Unavailable:
    """The error for whatever goes wrong in a database."""
    return Unavailable("STORE_UNAVAILABLE", "记录库暂不可用", "The records store is not available")
