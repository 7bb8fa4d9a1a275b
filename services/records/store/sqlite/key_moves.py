"""Moves person keys to another version of the secret in SQLite; each function is a transaction of the writer's."""

import sqlite3
from collections.abc import Mapping, Sequence

from services.records.store.moved_keys import conflict_id, with_key
from services.runtime.storage.key_moves import KeyState, older_with
from services.runtime.storage.sqlite.file import written

_REST = ("conflict", "former_holder", "count_accused", "correction_request")
"""Tables that may name people who have no records, or have them no longer; all of them are small."""


def read_state(read: sqlite3.Connection) -> KeyState:
    """Returns which keys the store has."""
    version, moved, older_secrets, fingerprint = read.execute(
        "select key_version, moved_keys, older_secrets, (select secret_fingerprint from store_owner) from feed_head"
    ).fetchone()
    return KeyState(fingerprint or b"", version, moved, older_secrets)


def begin(write: sqlite3.Connection, fingerprint: bytes, version: int) -> None:
    """Notes the version that is written from now on; a later one that stands there already stays."""
    # From here on, what is taken out is overwritten in the file.
    write.execute("pragma secure_delete = on")
    with written(write):
        if write.execute("select key_version from feed_head").fetchone()[0] >= version:
            return
        older_secrets = b"".join(older_with(read_state(write), fingerprint))
        write.execute("update store_owner set secret_fingerprint = ?", (fingerprint,))
        write.execute(
            "update feed_head set key_version = ?, older_secrets = ?, moved_keys = moved_keys + 1",
            (version, older_secrets),
        )


def older(read: sqlite3.Connection, version: int, most: int) -> Sequence[Sequence[bytes]]:
    """Returns people with keys of other versions, those with records first."""
    for table in ("revision", *_REST):
        rows = read.execute(
            f"select distinct person_key from {table} "
            "where person_key > x'01' and person_key < ?1 or person_key >= ?2 order by person_key limit ?3",
            (bytes([version]), bytes([version + 1]) if version < 255 else b"\xff" * 17, most),
        ).fetchall()
        if rows:
            return rows
    return ()


def move(write: sqlite3.Connection, moves: Mapping[bytes, bytes]) -> None:
    """Puts new keys in the place of old ones."""
    write.execute("pragma secure_delete = on")
    before = write.total_changes
    with written(write):
        for old, new in moves.items():
            rows = write.execute(
                "select region, source_id, revision, body from revision where person_key = ?", (old,)
            ).fetchall()
            ids = {(region, source_id) for region, source_id, *_ in rows}
            write.executemany(
                "update revision set person_key = ?, body = ? "
                "where person_key = ? and region = ? and source_id = ? and revision = ?",
                [(new, with_key(body, new), old, *place) for *place, body in rows],
            )
            write.executemany(
                "update identity set person_key = ? where region = ? and source_id = ? and person_key = ?",
                [(new, *record_id, old) for record_id in ids],
            )
            for table in ("former_holder", "count_accused", "correction_request"):
                write.execute(f"update or replace {table} set person_key = ? where person_key = ?", (new, old))
        _move_conflicts(write, moves)
        if write.total_changes == before:
            return
        write.execute("update feed_head set moved_keys = moved_keys + 1")


def _move_conflicts(write: sqlite3.Connection, moves: Mapping[bytes, bytes]) -> None:
    # Few, and of no order: they are looked through once for all.
    rows = [
        row
        for row in write.execute(
            "select number, region, source_id, revision, reason, person_key, content from conflict"
        ).fetchall()
        if row[5] in moves
    ]
    for number, region, source_id, revision, reason, old, content in rows:
        named = conflict_id(region, source_id, revision, reason, moves[old], content)
        # Offered again meanwhile, it stands there already.
        write.execute("delete from conflict where conflict_id = ? and number <> ?", (named, number))
        write.execute(
            "update conflict set person_key = ?, conflict_id = ? where number = ?", (moves[old], named, number)
        )


def end(write: sqlite3.Connection, version: int) -> bool:
    """Notes that all keys are of the version that is written, if so."""
    with written(write):
        if older(write, version, 1):
            return False
        # What was answered under older keys names nobody any more.
        write.execute("delete from answer")
        ended = write.execute("update feed_head set older_secrets = x'' where key_version = ?", (version,)).rowcount
    # The log has old keys until it is written back, which waits for readers: then the next one does it.
    write.execute("pragma wal_checkpoint(truncate)")
    return bool(ended)
