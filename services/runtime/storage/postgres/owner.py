"""A store that has an owner, in a PostgreSQL database that any number of processes share."""

from collections.abc import Callable

import asyncpg

from services.common.errors import ServiceError
from services.runtime.storage.owner import Owner
from services.runtime.storage.postgres.pool import Connections, Database
from services.runtime.storage.schema import Schema

POOL_SIZE = 2
STATEMENT_SECONDS = 10.0
"""How long one statement, or an attempt to connect, may take."""


def owner_connections(
    url: str,
    schema: Schema,
    unavailable: Callable[[Exception], ServiceError],
    owner: Owner,
    *,
    migrates: bool = False,
) -> Connections:
    """Returns the connections to a store, opened at the first use. The tables must be there, up to date; `migrates`
    makes them so. Each connection looks whose store it is first: that of another mesh is SchemaError."""

    async def look(connection: asyncpg.Connection) -> None:
        insert = f"insert into {owner.table} values (1, $1) on conflict do nothing"
        await connection.execute(insert, owner.secret_fingerprint)
        owner.require(await connection.fetchval(f"select secret_fingerprint from {owner.table}"))

    return Connections(
        Database(
            url,
            schema,
            unavailable,
            size=POOL_SIZE,
            statement_seconds=STATEMENT_SECONDS,
            migrates=migrates,
            session={"synchronous_commit": "on"},
            opened=look,
        )
    )


async def move_keys(
    connections: Connections, people: str, change: str, after: bytes, most: int, new: Callable[[bytes], bytes]
) -> bytes:
    """Puts new person keys in the place of old ones, in one transaction. `people` selects, and locks, id and person key
    of at most so many ($2) rows after an id ($1), by id; `change` sets the key ($1) of an id ($2). Returns the last id,
    empty where there is no row. Raises Unavailable."""

    async def work(connection: asyncpg.Connection) -> bytes:
        async with connection.transaction():
            rows = await connection.fetch(people, after, most)
            moves = [(new(old), name) for name, old in rows if new(old) != old]
            if moves:
                await connection.executemany(change, moves)
        return bytes(rows[-1][0]) if rows else b""

    return await connections.run(work)
