"""Moves person keys to another version of the secret in PostgreSQL, on Citus as well; each function is given a
transaction. All but the reads lock the head first, as writers do in the end: none waits for another in a circle."""

from collections.abc import Mapping, Sequence

import asyncpg

from services.records.store.moved_keys import conflict_id, with_key
from services.runtime.storage.key_moves import KeyState, older_with

_REST = ("conflict", "former_holder", "count_accused", "correction_request")
"""Tables that may name people who have no records, or have them no longer; all of them are small."""
_LOCK_HEAD = "select 1 from feed_head for update"


async def read_state(connection: asyncpg.Connection) -> KeyState:
    """Returns which keys the store has."""
    # On a cluster the two are not of one kind: a statement each.
    fingerprint = await connection.fetchval("select secret_fingerprint from store_owner")
    version, moved, older_secrets = await connection.fetchrow(
        "select key_version, moved_keys, older_secrets from feed_head"
    )
    return KeyState(fingerprint or b"", version, moved, older_secrets)


async def begin(connection: asyncpg.Connection, fingerprint: bytes, version: int) -> None:
    """Notes the version that is written from now on; a later one that stands there already stays."""
    await connection.execute(_LOCK_HEAD)
    if await connection.fetchval("select key_version from feed_head") < version:
        older_secrets = b"".join(older_with(await read_state(connection), fingerprint))
        await connection.execute("update store_owner set secret_fingerprint = $1", fingerprint)
        await connection.execute(
            "update feed_head set key_version = $1, older_secrets = $2, moved_keys = moved_keys + 1",
            version,
            older_secrets,
        )


async def older(connection: asyncpg.Connection, version: int, most: int) -> Sequence[Sequence[bytes]]:
    """Returns people with keys of other versions, those with records first."""
    bounds = bytes([version]), bytes([version + 1]) if version < 255 else b"\xff" * 17
    for table in ("revision", *_REST):
        rows = await connection.fetch(
            f"select distinct person_key from {table} "
            "where person_key > '\\x01'::bytea and person_key < $1 or person_key >= $2 order by person_key limit $3",
            *bounds,
            most,
        )
        if rows:
            return [(row[0],) for row in rows]
    return ()


async def move(connection: asyncpg.Connection, moves: Mapping[bytes, bytes]) -> None:
    """Puts new keys in the place of old ones. Rows are taken out and put in again: on a cluster a row cannot change the
    column by which it is distributed."""
    await connection.execute(_LOCK_HEAD)
    rows = await connection.fetch("delete from revision where person_key = any($1::bytea[]) returning *", list(moves))
    if rows:
        columns = list(rows[0].keys())
        key, body = columns.index("person_key"), columns.index("body")
        moved = []
        for row in rows:
            values = list(row)
            values[key] = moves[row[key]]
            values[body] = with_key(row[body], values[key])
            moved.append(values)
        await connection.copy_records_to_table("revision", records=moved, columns=columns)
        ids = sorted({(row["region"], row["source_id"], row["person_key"]) for row in rows})
        await connection.executemany(
            "update identity set person_key = $4 where region = $1 and source_id = $2 and person_key = $3",
            [(*record, moves[record[2]]) for record in ids],
        )
    pairs = list(moves), list(moves.values())
    moved_rest = False
    for table in ("former_holder", "count_accused", "correction_request"):
        changed: str = await connection.execute(
            f"update {table} as t set person_key = m.new from unnest($1::bytea[], $2::bytea[]) as m (old, new) "
            "where t.person_key = m.old",
            *pairs,
        )
        moved_rest = moved_rest or changed != "UPDATE 0"
    if await _move_conflicts(connection, moves) or rows or moved_rest:
        await connection.execute("update feed_head set moved_keys = moved_keys + 1")


async def _move_conflicts(connection: asyncpg.Connection, moves: Mapping[bytes, bytes]) -> bool:
    rows = await connection.fetch(
        "select number, region, source_id, revision, reason, person_key, content from conflict "
        "where person_key = any($1::bytea[])",
        list(moves),
    )
    for number, region, source_id, revision, reason, old, content in rows:
        named = conflict_id(region, source_id, revision, reason, moves[old], content)
        # Offered again meanwhile, it stands there already.
        await connection.execute("delete from conflict where conflict_id = $1 and number <> $2", named, number)
        await connection.execute(
            "update conflict set person_key = $1, conflict_id = $2 where number = $3", moves[old], named, number
        )
    return bool(rows)


async def end(connection: asyncpg.Connection, version: int) -> bool:
    """Notes that all keys are of the version that is written, if so."""
    await connection.execute(_LOCK_HEAD)
    if await older(connection, version, 1):
        return False
    # What was answered under older keys names nobody any more.
    await connection.execute("delete from answer")
    ended: str = await connection.execute("update feed_head set older_secrets = '' where key_version = $1", version)
    return ended != "UPDATE 0"
