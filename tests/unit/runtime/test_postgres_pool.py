"""The pool's own promises, with no database."""

import asyncio

import pytest

from services.common.errors import Unavailable
from services.lookup.store.schemas import SCHEMAS
from services.runtime.storage.postgres.pool import Connections, Database


class Closing:
    """A pool that is closed in the very tick in which its owner is cancelled."""

    owner: asyncio.Task[None]
    terminated = False

    async def close(self) -> None:
        """Done, and at once its owner is cancelled."""
        self.owner.cancel()

    def terminate(self) -> None:
        """Not gracefully."""
        self.terminated = True


class Stuck(Closing):
    """A pool whose connections never end what they do."""

    async def close(self) -> None:
        """For ever."""
        await asyncio.Event().wait()


def _unavailable(error: Exception) -> Unavailable:
    return Unavailable("STORE_UNAVAILABLE", "暂不可用", "Not available")


def owning(pool: Closing, seconds: float) -> Connections:
    """Connections that have opened this pool."""
    database = Database("postgresql://nowhere", SCHEMAS.postgres, _unavailable, size=1, statement_seconds=seconds)
    connections = Connections(database)
    connections._pool = pool
    return connections


async def test_a_cancellation_is_not_lost_while_the_pool_closes():
    """Who is cancelled in the tick in which the pool has closed stays cancelled: asyncio.wait_for of Python 3.11 would
    forget it."""
    pool = Closing()

    async def closing() -> None:
        await owning(pool, 60).close()
        await asyncio.sleep(0)

    pool.owner = asyncio.create_task(closing())
    with pytest.raises(asyncio.CancelledError):
        await pool.owner


async def test_a_pool_that_does_not_close_is_terminated():
    """After as long as a statement may take."""
    pool = Stuck()
    await owning(pool, 0.01).close()
    assert pool.terminated
