"""Brings the person keys of a store of records to another version of the mesh's secret."""

import sqlite3
from typing import Any

from hutong.records.v1.record_pb2 import RecordContent

from services.common.documents import PERSON_KEY_BYTES
from services.common.mesh_secret import MeshSecret
from services.records.domain.conflicts import conflict_id_of
from services.records.domain.content import digest
from services.runtime.storage.rekeying import Own, Rekeying, map_keys

_BODY_FIELD = bytes([4 << 3 | 2, PERSON_KEY_BYTES])
"""What stands before the key in a serialised TestRecord."""


def _moved_body(body: bytes, old: bytes, new: bytes) -> bytes:
    return body.replace(_BODY_FIELD + old, _BODY_FIELD + new)


def _sqlite(connection: sqlite3.Connection, own: Own, secret: MeshSecret) -> int:
    people: int = connection.execute("select count(distinct person_key) from revision").fetchone()[0]
    for (key,) in connection.execute("select distinct person_key from identity"):
        # Within a statement the reason would be lost.
        own(key)
    connection.create_function("own_body", 2, lambda body, key: _moved_body(body, key, own(key)), deterministic=True)
    connection.execute("update revision set body = own_body(body, person_key), person_key = own_key(person_key)")
    for table in ("identity", "former_holder", "count_accused", "correction_request"):
        connection.execute(f"update {table} set person_key = own_key(person_key)")
    columns = "number, region, source_id, revision, reason, person_key, content"
    for number, region, source_id, revision, reason, key, content in connection.execute(
        f"select {columns} from conflict"
    ).fetchall():
        moved = own(key)
        named = conflict_id_of(region, source_id, revision, reason, moved, digest(RecordContent.FromString(content)))
        values = (moved, named, number)
        connection.execute("update conflict set person_key = ?, conflict_id = ? where number = ?", values)
    connection.execute("delete from answer")
    connection.execute("update store_owner set secret_fingerprint = ?", (secret.fingerprint(),))
    return people


async def _postgres(connection: Any, own: Own, secret: MeshSecret) -> int:
    await connection.execute(
        "lock table revision, identity, former_holder, count_accused, conflict, correction_request, answer, "
        "store_owner in access exclusive mode"
    )
    people: int = await connection.fetchval("select count(distinct person_key) from revision")
    await map_keys(
        connection,
        "select person_key from revision union select person_key from identity union select person_key from "
        "former_holder union select person_key from count_accused union select person_key from conflict union "
        "select person_key from correction_request",
        own,
    )
    await connection.execute(
        "update revision set body = overlay(body placing $1::bytea || new_key "
        "from position($1::bytea || old_key in body) for length($1::bytea) + length(old_key)), person_key = new_key "
        "from moved_key where person_key = old_key and position($1::bytea || old_key in body) > 0",
        _BODY_FIELD,
    )
    for table in ("revision", "identity", "former_holder", "count_accused", "correction_request"):
        await connection.execute(f"update {table} set person_key = new_key from moved_key where person_key = old_key")
    rows = await connection.fetch(
        "select number, region, source_id, revision, reason, person_key, content from conflict"
    )
    for row in rows:
        moved = own(row["person_key"])
        named = conflict_id_of(
            row["region"],
            row["source_id"],
            row["revision"],
            row["reason"],
            moved,
            digest(RecordContent.FromString(row["content"])),
        )
        await connection.execute(
            "update conflict set person_key = $1, conflict_id = $2 where number = $3", moved, named, row["number"]
        )
    await connection.execute("delete from answer")
    await connection.execute("update store_owner set secret_fingerprint = $1", secret.fingerprint())
    return people


REKEYING = Rekeying(_sqlite, _postgres)
