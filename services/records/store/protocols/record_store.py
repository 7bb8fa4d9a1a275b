"""All of a store, for the composition that opens it and the tests that compare engines. Nobody else needs it."""

from typing import Protocol

from services.records.store.protocols.conflict_log import ConflictLog
from services.records.store.protocols.copy_queue import CopyQueue
from services.records.store.protocols.correction_requests import CorrectionRequestLog
from services.records.store.protocols.feed_log import FeedLog
from services.records.store.protocols.figures import FigureStore, RecordsByTime
from services.records.store.protocols.following import Cursors, LagLog
from services.records.store.protocols.histories import RecordHistories
from services.records.store.protocols.intake_sessions import AnswerLog, IntakeSessions
from services.records.store.protocols.key_moves import RecordKeyMoves
from services.records.store.protocols.laboratories import LaboratoryLog
from services.records.store.protocols.reads import PersonRoll, RecordReads
from services.records.store.protocols.retention import RecordPurge, Weighing
from services.records.store.protocols.unit_of_work import UnitOfWork
from services.records.store.seen_feed import SeenFeed


class RecordStore(
    RecordReads,
    RecordHistories,
    LaboratoryLog,
    UnitOfWork,
    IntakeSessions,
    AnswerLog,
    FeedLog,
    Cursors,
    LagLog,
    CopyQueue,
    ConflictLog,
    CorrectionRequestLog,
    RecordsByTime,
    RecordPurge,
    PersonRoll,
    Weighing,
    RecordKeyMoves,
    Protocol,
):
    """One database of records, opened."""

    @property
    def figures(self) -> FigureStore:
        """Laboratories' figures, kept up to date beside the records."""

    @property
    def seen(self) -> SeenFeed:
        """Returns how far this process has seen the feed come."""

    async def ping(self) -> None:
        """Returns when the store can be read."""
