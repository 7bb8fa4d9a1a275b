"""A PostgreSQL store read by the place of records in time, for the quality of laboratories."""

from collections.abc import AsyncGenerator, Sequence

import asyncpg

from services.common.instants import Instant
from services.records.store.values.records import RevisionBodies

BY_TIME = """
select (
    select array_agg(body order by revision) from revision
    where (person_key, region, source_id) = (this.person_key, this.region, this.source_id) and recorded_at <= $3
)
from revision as this
where placed_at >= $1 and placed_at < $2 and recorded_at <= $3 and not exists (
    select 1 from revision as later
    where (later.person_key, later.region, later.source_id) = (this.person_key, this.region, this.source_id)
    and later.revision > this.revision and later.recorded_at <= $3
)
"""

AT_ONCE = 256
SECONDS = 60.0
"""How long the database may look for one batch of records by their place in time."""


async def by_time(
    connection: asyncpg.Connection, first: Instant, end: Instant, known_at: Instant
) -> AsyncGenerator[Sequence[RevisionBodies], None]:
    """Reads as RecordsByTime.by_time does, in a transaction of its own."""
    async with connection.transaction(readonly=True):
        # Asked seldom, over ranges of any size: each deserves its own plan, and more time than a hot query.
        await connection.execute(
            f"set local statement_timeout = '{SECONDS}s'; set local plan_cache_mode = force_custom_plan"
        )
        cursor = await connection.cursor(BY_TIME, first, end, known_at, timeout=SECONDS)
        while rows := await cursor.fetch(AT_ONCE, timeout=SECONDS):
            yield [row[0] for row in rows]
