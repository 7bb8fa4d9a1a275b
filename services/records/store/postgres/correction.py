"""The tables of a PostgreSQL store for correction: the marks of commits, copies by origin, conflicts, how far followed
regions were known."""

from collections.abc import Sequence

import asyncpg

from services.common.instants import Instant
from services.records.domain.conflicts import StoredConflict
from services.records.domain.revisions import RecordId
from services.records.store.rows import CONFLICT_COLUMNS, changed_ids, conflict_rows, copy_rows
from services.records.store.unit_of_work import Plan
from services.records.store.values.feed import DueCopy, Lag

_KEEP_CONFLICT = """
insert into conflict (conflict_id, region, source_id, revision, reason, person_key, content, offered_by,
    first_at, last_at, times, settlement, cause, settled_by)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9, 1, 0, '', '')
on conflict (conflict_id) do update
set times = conflict.times + 1, last_at = excluded.last_at, offered_by = excluded.offered_by
"""

_SETTLE = "update conflict set settlement = $2, cause = $3, settled_by = $4, settled_at = $5 where conflict_id = $1"

_COPIES = """
insert into origin_copy select * from unnest($1::text[], $2::text[], $3::text[], $4::text[]) on conflict do nothing
"""

_NEW_DUE = """
insert into copy_due select *, $3::bigint from unnest($1::text[], $2::text[])
on conflict (region, source_id) do update set sequence = excluded.sequence
"""

_CHANGED_DUE = """
insert into copy_due
select distinct c.region, c.source_id, $3::bigint from unnest($1::text[], $2::text[]) as changed(region, source_id)
join origin_copy as c on c.origin_region = changed.region and c.origin_source_id = changed.source_id
on conflict (region, source_id) do update set sequence = excluded.sequence
"""


async def note_copies(connection: asyncpg.Connection, plan: Plan, last: int, drives_copies: bool) -> None:
    """Notes the copies among a plan's revisions and, in the store that drives them, which are due. The caller holds the
    row of feed_head, so that no two writers do this at once."""
    copies = copy_rows(plan)
    if copies:
        await connection.execute(_COPIES, *map(list, zip(*copies, strict=True)))
    if not drives_copies:
        return
    if copies:
        kept = sorted({(region, source_id) for *_, region, source_id in copies})
        await connection.execute(_NEW_DUE, *map(list, zip(*kept, strict=True)), last)
    changed = changed_ids(plan)
    if changed:
        await connection.execute(_CHANGED_DUE, *map(list, zip(*changed, strict=True)), last)


async def keep_conflicts(connection: asyncpg.Connection, plan: Plan, now: Instant) -> None:
    """Stores a plan's conflicts, and how one was settled."""
    if plan.conflicts:
        await connection.executemany(_KEEP_CONFLICT, sorted(conflict_rows(plan, now)))
    if plan.settled is not None:
        settled = plan.settled
        await connection.execute(_SETTLE, settled.conflict_id, settled.settlement, settled.cause, settled.by, now)


async def conflict(connection: asyncpg.Connection, conflict_id: str) -> StoredConflict | None:
    """Returns one conflict, locked until the commit."""
    row = await connection.fetchrow(
        f"select {CONFLICT_COLUMNS} from conflict where conflict_id = $1 for update", conflict_id
    )
    return None if row is None else StoredConflict(*row)


async def mark(connection: asyncpg.Connection, sequence: int) -> bytes:
    """Returns the mark of the commit that used a number."""
    marked = await connection.fetchval(
        "select mark from feed_mark where last_sequence >= $1 order by last_sequence limit 1", sequence
    )
    return marked or b""


async def due(connection: asyncpg.Connection, regions: list[str], most: int) -> list[tuple[RecordId, int]]:
    """Returns the copies due in these regions."""
    rows = await connection.fetch(
        "select region, source_id, sequence from copy_due where region = any($1::text[]) order by sequence limit $2",
        regions,
        most,
    )
    return [(RecordId(row[0], row[1]), row[2]) for row in rows]


async def forget_due(connection: asyncpg.Connection, done: Sequence[DueCopy]) -> None:
    """These were compared; one that became due again meanwhile stays."""
    await connection.execute(
        "delete from copy_due as d "
        "using unnest($1::text[], $2::text[], $3::bigint[]) as done(region, source_id, sequence) "
        "where d.region = done.region and d.source_id = done.source_id and d.sequence <= done.sequence",
        *map(list, zip(*((*due.id, due.sequence) for due in done), strict=True)),
    )


async def forget_records(connection: asyncpg.Connection, gone: Sequence[RecordId]) -> None:
    """Nothing is kept about records that were purged: not what was offered for them, nor that they are copies."""
    columns = list(map(list, zip(*gone, strict=True)))
    for table in ("conflict", "copy_due", "origin_copy"):
        await connection.execute(
            f"delete from {table} as kept using unnest($1::text[], $2::text[]) as gone(region, source_id) "
            "where (kept.region, kept.source_id) = (gone.region, gone.source_id)",
            *columns,
        )


async def conflicts(
    connection: asyncpg.Connection, after: int, most: int, settled_too: bool
) -> Sequence[StoredConflict]:
    """Conflicts numbered above `after`, in order."""
    rows = await connection.fetch(
        f"select {CONFLICT_COLUMNS} from conflict where number > $1 and ($3 or settlement = 0) "
        "order by number limit $2",
        after,
        most,
        settled_too,
    )
    return [StoredConflict(*row) for row in rows]


async def note_lag(connection: asyncpg.Connection, lag: Lag) -> None:
    """Notes how far a followed region was known."""
    await connection.execute(
        "insert into followed_lag values ($1, $2, $3) on conflict (region, noted_at) do update set as_of = $3", *lag
    )


async def lags(connection: asyncpg.Connection) -> Sequence[Lag]:
    """Returns all that was noted, in order of time."""
    rows = await connection.fetch("select region, noted_at, as_of from followed_lag order by noted_at")
    return [Lag(*row) for row in rows]
