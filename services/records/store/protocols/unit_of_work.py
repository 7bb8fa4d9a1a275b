"""Writing: one decision, one transaction."""

from typing import Protocol

from services.records.store.unit_of_work import Decide, Touch
from services.runtime.clock import Clock


class UnitOfWork(Protocol):
    """Commits decisions."""

    async def commit(self, touch: Touch, decide: Decide, clock: Clock) -> bytes:
        """Commits one transaction: reads what is touched, decides, appends, and returns the answer when all of it is
        durable.

        Revisions that are new get `recorded_at`: the clock's instant, or later, so that it grows from commit to commit.
        A request that was answered before gets its first answer and changes nothing; under the same key another
        request is InvalidArgument (REQUEST_ID_REUSED). A batch whose session lacks the one before is FailedPrecondition
        (BATCH_GAP); one that was committed before is decided again, and moves nothing.
        """
