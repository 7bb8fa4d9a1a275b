"""Brings the person keys of lookup's store to another version of the mesh's secret."""

import sqlite3
from typing import Any

from services.common.documents import PERSON_KEY_BYTES
from services.common.mesh_secret import MeshSecret
from services.runtime.storage.rekeying import Own, Rekeying, map_keys


def _sqlite(connection: sqlite3.Connection, own: Own, secret: MeshSecret) -> int:
    def own_each(keys: bytes) -> bytes:
        size = PERSON_KEY_BYTES
        return b"".join(own(keys[at : at + size]) for at in range(0, len(keys), size))

    people: int = connection.execute("select count(distinct person_key) from holder_log").fetchone()[0]
    for (key,) in connection.execute("select distinct person_key from holder_log"):
        # Within a statement the reason would be lost.
        own(key)
    connection.create_function("own_keys", 1, own_each, deterministic=True)
    connection.execute(
        "update holder_log set person_key = own_key(person_key), other_key = own_key(other_key), "
        "affected = own_keys(affected)"
    )
    connection.execute("update holder_link set person_key = own_key(person_key), other_key = own_key(other_key)")
    connection.execute("update holder_switch set person_key = own_key(person_key)")
    connection.execute("update store_owner set secret_fingerprint = ?", (secret.fingerprint(),))
    return people


async def _postgres(connection: Any, own: Own, secret: MeshSecret) -> int:
    await connection.execute("lock table holder_log, holder_link, holder_switch in access exclusive mode")
    people: int = await connection.fetchval("select count(distinct person_key) from holder_log")
    await map_keys(
        connection,
        "select person_key from holder_log union select other_key from holder_log where other_key is not null union "
        "select person_key from holder_link union select other_key from holder_link union "
        "select person_key from holder_switch union select unnest(affected) from holder_log",
        own,
    )
    for table, column in (
        ("holder_log", "person_key"),
        ("holder_log", "other_key"),
        ("holder_link", "person_key"),
        ("holder_link", "other_key"),
        ("holder_switch", "person_key"),
    ):
        await connection.execute(f"update {table} set {column} = new_key from moved_key where {column} = old_key")
    await connection.execute(
        "update holder_log set affected = array(select coalesce(new_key, key) from unnest(affected) with ordinality "
        "as held (key, place) left join moved_key on old_key = key order by place)"
    )
    await connection.execute("update store_owner set secret_fingerprint = $1", secret.fingerprint())
    return people


REKEYING = Rekeying(_sqlite, _postgres)
