"""Moves person keys to another version of the secret in PostgreSQL; each function that writes is given a transaction in
which nobody else writes."""

from collections.abc import Mapping, Sequence
from typing import Any

from services.runtime.storage.key_moves import KeyState, older_with

_CONNECTED = """
with recursive person (key) as (
    select unnest($1::bytea[])
    union
    select near.key from person cross join lateral (
        select other_key from holder_log where person_key = person.key and other_key is not null
        union all
        select person_key from holder_log where other_key = person.key
    ) as near (key)
)
select key from person
"""


async def read_state(connection: Any) -> KeyState:
    """Returns which keys the store has."""
    row = await connection.fetchrow(
        "select secret_fingerprint, coalesce(key_version, 0), coalesce(moved_keys, 0), coalesce(older_secrets, '') "
        "from store_owner left join key_move on true"
    )
    return KeyState(*row)


async def begin(connection: Any, fingerprint: bytes, version: int) -> None:
    """Notes the version that is written from now on; a later one that stands there already stays."""
    state = await read_state(connection)
    if state.version < version:
        await connection.execute("update store_owner set secret_fingerprint = $1", fingerprint)
        await connection.execute("delete from key_move")
        await connection.execute(
            "insert into key_move (key_version, moved_keys, older_secrets) values ($1, $2, $3)",
            version,
            state.moved + 1,
            b"".join(older_with(state, fingerprint)),
        )


async def connected(connection: Any, keys: Sequence[bytes]) -> Sequence[bytes]:
    """Returns these keys, and all that were ever linked to them."""
    return [row[0] for row in await connection.fetch(_CONNECTED, list(keys))]


async def older(connection: Any, version: int, most: int) -> Sequence[Sequence[bytes]]:
    """Returns some of the people with keys of other versions, each with all that were ever linked."""
    rows = await connection.fetch(
        "select distinct person_key from holder_log "
        "where person_key > '\\x01'::bytea and person_key < $1 or person_key >= $2 order by person_key limit $3",
        bytes([version]),
        bytes([version + 1]) if version < 255 else b"\xff" * 17,
        most,
    )
    seen: set[bytes] = set()
    people: list[Sequence[bytes]] = []
    for (key,) in rows:
        if key not in seen:
            people.append(await connected(connection, [key]))
            seen.update(people[-1])
    return people


async def move(connection: Any, moves: Mapping[bytes, bytes]) -> None:
    """Puts new keys in the place of old ones."""
    pairs = list(moves), list(moves.values())
    changed = False
    for table, column in (
        ("holder_log", "person_key"),
        ("holder_log", "other_key"),
        ("holder_link", "person_key"),
        ("holder_link", "other_key"),
        ("holder_switch", "person_key"),
    ):
        done: str = await connection.execute(
            f"update {table} as t set {column} = m.new from unnest($1::bytea[], $2::bytea[]) as m (old, new) "
            f"where t.{column} = m.old",
            *pairs,
        )
        changed = changed or done != "UPDATE 0"
    # Whom an entry affects is among those who were ever linked to the one that it is of: it is found by its new key.
    await connection.execute(
        "update holder_log set affected = array(select coalesce(m.new, key) from unnest(affected) with ordinality "
        "as held (key, place) left join unnest($1::bytea[], $2::bytea[]) as m (old, new) on m.old = key "
        "order by place) where person_key = any($2::bytea[])",
        *pairs,
    )
    if changed:
        await connection.execute("update key_move set moved_keys = moved_keys + 1")


async def end(connection: Any, version: int) -> bool:
    """Notes that all keys are of the version that is written, if so."""
    if await older(connection, version, 1):
        return False
    done: str = await connection.execute("update key_move set older_secrets = '' where key_version = $1", version)
    return done != "UPDATE 0"
