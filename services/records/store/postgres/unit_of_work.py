"""One write transaction in PostgreSQL, in bulk statements.

Locks are taken in one order by all writers, so that none wait for each other in a circle: the request's, the session's,
the followed region's cursor, new identities by id, the head of the feed, and conflicts by id last. What is appended to
a record that exists is decided with the head locked: nothing is locked row by row, which a distributed table could not
do.

Why the feed is complete. Every transaction takes its numbers from the one row of `feed_head`, and holds that row until
it has committed. So whoever gets the next numbers does so after those before are visible, a snapshot that shows one
number shows all below it, and a rollback gives its numbers back: a follower that has read to n has seen everything at
or below n. A sequence object would promise none of this. On Citus the row lives on the coordinator, where the same lock
orders the commits; their parts may become visible on the workers a moment apart, which is why readers stop at a gap.
The price is that writers append one after another; what is slow, deciding and serialising, is done before.
"""

from collections.abc import Sequence
from dataclasses import replace
from secrets import token_bytes
from typing import Any

import asyncpg
from hutong.records.v1.laboratory_pb2 import Laboratory

from services.common.instants import Instant
from services.records.domain.replication import Cursor
from services.records.domain.revisions import PersonRecord, RecordId, StoredRevision
from services.records.store.postgres import correction as correction
from services.records.store.postgres import correction_requests as correction_requests
from services.records.store.postgres.binary_copy import first_revisions, identities
from services.records.store.postgres.keyed_statement import HOLDERS, KeyedStatement
from services.records.store.rows import MARK_BYTES, REVISION_COLUMNS, laboratory_rows, revision_rows, superseded_rows
from services.records.store.unit_of_work import (
    Decide,
    Known,
    Plan,
    RequestKey,
    Touch,
    batch_gap,
    check_key_version,
    check_retry,
)
from services.runtime.clock import Clock

_CLAIM = KeyedStatement(
    """
insert into identity (region, source_id, person_key)
select * from unnest($1::text[], $2::text[], $3::bytea[]) as claimed(region, source_id, person_key)
on conflict do nothing
returning 1
""",
    # On a cluster this holds a row, where the one above would hold shards.
    """
insert into identity (region, source_id, person_key) values ($1, $2, $3) on conflict do nothing returning 1
""",
)
# What it returns is counted: a cluster gives how many rows it was offered as how many it inserted.

_HISTORIES = KeyedStatement(
    """
select r.region, r.source_id, r.revision, r.person_key, r.digest, r.retracted, r.body
from unnest($1::text[], $2::text[], $3::bytea[]) as held(region, source_id, person_key)
cross join lateral (
    select * from revision
    where person_key = held.person_key and region = held.region and source_id = held.source_id
    order by revision
) as r
""",
    """
select region, source_id, revision, person_key, digest, retracted, body from revision
where region = $1 and source_id = $2 and person_key = $3 order by revision
""",
)

_LABORATORIES = """
select distinct on (laboratory) laboratory, body from laboratory
where laboratory = any($1::text[]) order by laboratory, revision desc
"""

# A record is in one partition, and on Citus on one node: a statement each, but sent together.
_SUPERSEDE = """
update revision set superseded_at = $5
where person_key = $1 and region = $2 and source_id = $3 and revision < $4 and superseded_at = 4611686018427387904
"""

# Moves a session on, or stays where it is when the batch was committed before; no row when one before it is missing.
_MOVE = """
insert into intake_session (session, batch, moved_at)
select $1::text, $2::bigint, $3::bigint
where $2 = 1 or exists (select 1 from intake_session where session = $1)
on conflict (session) do update set batch = greatest(intake_session.batch, excluded.batch), moved_at = excluded.moved_at
where excluded.batch <= intake_session.batch + 1
returning batch
"""

_LOCK_HEAD = "select 1 from feed_head for update"

MANY = 200
"""From so many claims on, they are copied in, which is cheap where all of them are new."""


# In parallel a statement would hold all shards that it writes, not rows, until the commit. One after the other, in the
# order of shards, it holds rows, and no two statements wait for each other in a circle.
SHARD_AFTER_SHARD = "set local citus.multi_shard_modify_mode = 'sequential'"


async def transact(
    connection: asyncpg.Connection,
    touch: Touch,
    decide: Decide,
    clock: Clock,
    stamp: Clock,
    drives_copies: bool,
    distributed: bool,
) -> bytes:
    """Writes as RecordStore.commit does, within a transaction of READ COMMITTED that the caller commits; `stamp` gives
    the instant that it bears. `distributed`: the database is a cluster's."""
    if distributed:
        await connection.execute(SHARD_AFTER_SHARD)
    if touch.request is not None:
        answered = await _answered(connection, touch.request)
        if answered is not None:
            return answered
    if touch.batch is not None and not await connection.fetchval(
        _MOVE, touch.batch.session, touch.batch.batch, clock()
    ):
        raise batch_gap()
    cursor = await _cursor(connection, touch)
    if _rests_on_holder(touch):
        # Whose the record is must not change between the look and the lock.
        await connection.execute(_LOCK_HEAD)
    held = await _claim(connection, touch, distributed=distributed)
    plan = decide(await _known(connection, touch, held, cursor, distributed=distributed))
    if held and plan.count and not _locks_head(touch):
        # It rests on revisions that others may follow up meanwhile. With the head locked nobody can: once more.
        await connection.execute(_LOCK_HEAD)
        plan = decide(await _known(connection, touch, held, cursor, distributed=distributed))
    now = await _append(connection, plan, stamp, drives_copies, touch)
    answer = plan.answer(now)
    if plan.cursor is not None:
        await connection.execute(
            "update follow set feed_id = $2, sequence = $3, as_of = $4, mark = $5, rereading = $6 where region = $1",
            touch.followed,
            plan.cursor.feed_id,
            plan.cursor.sequence,
            plan.cursor.as_of,
            plan.cursor.mark,
            plan.cursor.rereading,
        )
    await correction.keep_conflicts(connection, plan, now)
    await correction_requests.keep(connection, plan, now)
    if touch.request is not None:
        key, fingerprint = touch.request.key, touch.request.fingerprint
        await connection.execute("insert into answer values ($1, $2, $3, $4)", key, fingerprint, answer, now)
    return answer


async def _answered(connection: asyncpg.Connection, request: RequestKey) -> bytes | None:
    # Retries of one request wait for each other here; two requests whose keys collide do too, which harms nobody.
    await connection.execute("select pg_advisory_xact_lock(hashtextextended($1, 0))", request.key)
    row = await connection.fetchrow("select fingerprint, body from answer where request = $1", request.key)
    if row is None:
        return None
    check_retry(request, row[0])
    body: bytes = row[1]
    return body


async def _cursor(connection: asyncpg.Connection, touch: Touch) -> Cursor:
    if not touch.followed:
        return Cursor()
    await connection.execute(
        "insert into follow (region, feed_id, sequence, as_of) values ($1, '', 0, 0) on conflict do nothing",
        touch.followed,
    )
    row = await connection.fetchrow(
        "select feed_id, sequence, as_of, mark, rereading from follow where region = $1 for update", touch.followed
    )
    return Cursor(*row)


async def _claim(connection: asyncpg.Connection, touch: Touch, *, distributed: bool) -> list[Any]:
    """Claims what is to be claimed; returns the identities that were there already, or may have been."""
    claimed = sorted((*record_id, key) for record_id, key in touch.records.items() if key is not None)
    wanted = len(touch.records)
    if len(claimed) >= MANY and await _copied(connection, claimed) and len(claimed) == wanted:
        return []
    if claimed:
        new = await _CLAIM.fetch(connection, claimed, distributed=distributed)
        if len(new) == wanted:
            # All are new, and nobody else can have given them a revision.
            return []
    return await HOLDERS.fetch(connection, sorted(touch.records), distributed=distributed)


async def _copied(connection: asyncpg.Connection, claimed: list[tuple[str, str, bytes]]) -> bool:
    # Almost every batch of an intake is new to the last row; the others pay for the attempt.
    try:
        async with connection.transaction():
            await connection.copy_to_table(
                "identity",
                source=identities(claimed),
                columns=("region", "source_id", "person_key"),
                format="binary",
            )
    except (asyncpg.UniqueViolationError, asyncpg.InternalServerError):
        # A cluster does not say what its nodes' COPY failed of. Whatever it was, what is done instead meets it again.
        return False
    return True


def _rests_on_holder(touch: Touch) -> bool:
    return bool(touch.conflict or touch.requester or touch.correction_request)


def _locks_head(touch: Touch) -> bool:
    # Conflicts are written with the head locked, so one that is settled is locked after it. Of correction requests,
    # which are few, the head's lock is the only one.
    return bool(touch.laboratories) or _rests_on_holder(touch)


async def _known(
    connection: asyncpg.Connection, touch: Touch, held: list[Any], cursor: Cursor, *, distributed: bool
) -> Known:
    laboratories: dict[str, Laboratory] = {}
    if _locks_head(touch):
        # Laboratories change seldom: the head's lock is theirs too. The next statement sees what was committed before.
        await connection.execute(_LOCK_HEAD)
    if touch.laboratories:
        rows = await connection.fetch(_LABORATORIES, list(touch.laboratories))
        laboratories = {row[0]: Laboratory.FromString(row[1]) for row in rows}
    of_held = await _histories(connection, held, distributed=distributed)
    histories = {record.id: history for record, history in of_held.items()}
    conflict = await correction.conflict(connection, touch.conflict) if touch.conflict else None
    holders = {RecordId(row[0], row[1]): row[2] for row in held}
    others = [
        (*record.id, record.person_key)
        for record in touch.others
        if holders.get(record.id, record.person_key) != record.person_key
    ]
    return Known(
        histories,
        laboratories,
        cursor,
        conflict,
        await _histories(connection, others, distributed=distributed),
        await correction_requests.of_person(connection, touch.requester) if touch.requester else (),
        await correction_requests.one(connection, touch.correction_request) if touch.correction_request else None,
    )


async def _histories(
    connection: asyncpg.Connection, held: Sequence[Any], *, distributed: bool
) -> dict[PersonRecord, list[StoredRevision]]:
    histories: dict[PersonRecord, list[StoredRevision]] = {}
    for row in await _HISTORIES.fetch(connection, held, distributed=distributed):
        record = PersonRecord(row[3], RecordId(row[0], row[1]))
        histories.setdefault(record, []).append(StoredRevision(*row[2:]))
    return histories


async def _append(
    connection: asyncpg.Connection, plan: Plan, stamp: Clock, drives_copies: bool, touch: Touch
) -> Instant:
    count = plan.count
    if plan.conflicts and not count:
        check_key_version(touch, await connection.fetchval("select key_version from feed_head for update"))
    if not count:
        return stamp()
    head: Any = await connection.fetchrow("select sequence, recorded_at, key_version from feed_head for update")
    check_key_version(touch, head[2])
    before, recorded_at = int(head[0]), Instant(max(head[1] + 1, stamp()))
    if plan.firsts:
        source = first_revisions(plan.firsts, before, recorded_at, plan.written_by)
        await connection.copy_to_table("revision", source=source, columns=REVISION_COLUMNS, format="binary")
    if plan.revisions:
        rows = revision_rows(replace(plan, firsts=()), before + len(plan.firsts), recorded_at)
        await connection.copy_records_to_table("revision", records=rows, columns=REVISION_COLUMNS)
        if superseded := superseded_rows(plan, recorded_at):
            await connection.executemany(_SUPERSEDE, superseded)
    for moved in plan.moved:
        await connection.execute(
            "insert into former_holder values ($1, $2, $3) on conflict do nothing", *moved.id, moved.former
        )
        await connection.execute(
            "update identity set person_key = $3 where region = $1 and source_id = $2", *moved.id, moved.holder
        )
    if plan.laboratories:
        laboratories = laboratory_rows(plan, before + count - len(plan.laboratories), recorded_at)
        await connection.executemany("insert into laboratory values ($1, $2, $3, $4)", laboratories)
    # Two statements: a distributed database does not write two tables in one.
    await connection.execute(
        "update feed_head set sequence = sequence + $1, recorded_at = $2, "
        "laboratory_sequence = case when $3 then sequence + $1 else laboratory_sequence end",
        count,
        recorded_at,
        bool(plan.laboratories),
    )
    mark = token_bytes(MARK_BYTES)
    await connection.execute("insert into feed_mark values ($1, $2, $3)", before + count, recorded_at, mark)
    await correction.note_copies(connection, plan, before + count, drives_copies)
    return recorded_at
