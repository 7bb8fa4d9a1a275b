"""Connections that lead through a transaction pooler, such as pgbouncer: each transaction may be another session's.

So nothing may outlive a transaction: no named statement, no setting, no lock. The settings that a connection of one's
own is opened with are made anew in each transaction instead.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import asyncpg


async def is_pooled(url: str, *, seconds: float, writes: bool) -> bool:
    """Says whether there is a pooler on the way to a database. Raises the driver's errors."""
    connection = await asyncpg.connect(
        url,
        timeout=seconds,
        command_timeout=seconds,
        statement_cache_size=0,
        target_session_attrs="read-write" if writes else None,
    )
    try:
        return await leads_through_pooler(connection)
    finally:
        connection.terminate()


async def leads_through_pooler(connection: asyncpg.Connection) -> bool:
    """Says whether a connection does: a pooler gives a number of its own as that of the server's process, for it is the
    one to be asked to cancel something."""
    return bool(connection.get_server_pid() != await connection.fetchval("select pg_backend_pid()"))


@asynccontextmanager
async def settled(connection: asyncpg.Connection, settings: Mapping[str, str]) -> AsyncIterator[None]:
    """A transaction with these settings of PostgreSQL."""
    async with connection.transaction():
        await connection.execute("; ".join(f"set local {name} = '{value}'" for name, value in settings.items()))
        yield
