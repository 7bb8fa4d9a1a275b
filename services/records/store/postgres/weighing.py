"""Tells apart, in PostgreSQL, what programs wrote that knew of no selections."""

import asyncpg

from services.records.store.weighing import weighed

_UNWEIGHED = """
select person_key, region, source_id, revision, retracted, body from revision
where latest_at = 4611686018427387904 limit $1
"""

_WEIGH = """
update revision set latest_at = $5, weight = $6, always_given = $7
where person_key = $1 and region = $2 and source_id = $3 and revision = $4
"""


async def weigh(connection: asyncpg.Connection, most: int) -> int:
    """Weighs as Weighing.weigh does, within a transaction that the caller commits."""
    columns = weighed(await connection.fetch(_UNWEIGHED, most))
    if columns:
        # Writers take the head first, too: none of them waits for a row that this has, and has one that this waits for.
        await connection.execute("select 1 from feed_head for update")
        await connection.executemany(_WEIGH, columns)
    return len(columns)
