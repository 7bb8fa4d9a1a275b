"""Moves person keys to another version of the secret in SQLite; each function that writes is a transaction."""

import sqlite3
from collections.abc import Mapping, Sequence

from services.common.documents import PERSON_KEY_BYTES
from services.runtime.storage.key_moves import KeyState, older_with
from services.runtime.storage.sqlite.file import written

_CONNECTED = """
with recursive person (key) as (
    select column1 from (values {marks})
    union
    select case when log.person_key = person.key then log.other_key else log.person_key end
    from person join holder_log as log on (log.person_key = person.key or log.other_key = person.key)
    where log.other_key is not null
)
select key from person
"""


def read_state(read: sqlite3.Connection) -> KeyState:
    """Returns which keys the store has."""
    fingerprint, version, moved, older_secrets = read.execute(
        "select secret_fingerprint, coalesce(key_version, 0), coalesce(moved_keys, 0), coalesce(older_secrets, x'') "
        "from store_owner left join key_move on true"
    ).fetchone()
    return KeyState(fingerprint, version, moved, older_secrets)


def begin(write: sqlite3.Connection, fingerprint: bytes, version: int) -> None:
    """Notes the version that is written from now on; a later one that stands there already stays."""
    # From here on, what is taken out is overwritten in the file.
    write.execute("pragma secure_delete = on")
    with written(write):
        state = read_state(write)
        if state.version < version:
            older_secrets = b"".join(older_with(state, fingerprint))
            write.execute("update store_owner set secret_fingerprint = ?", (fingerprint,))
            write.execute(
                "insert or replace into key_move values (1, ?, ?, ?)", (version, state.moved + 1, older_secrets)
            )


def connected(read: sqlite3.Connection, keys: Sequence[bytes]) -> Sequence[bytes]:
    """Returns these keys, and all that were ever linked to them."""
    if not keys:
        return ()
    query = _CONNECTED.format(marks=",".join(["(?)"] * len(keys)))
    return [key for (key,) in read.execute(query, list(keys))]


def older(read: sqlite3.Connection, version: int, most: int) -> Sequence[Sequence[bytes]]:
    """Returns some of the people with keys of other versions, each with all that were ever linked."""
    rows = read.execute(
        "select distinct person_key from holder_log "
        "where person_key > x'01' and person_key < ?1 or person_key >= ?2 order by person_key limit ?3",
        (bytes([version]), bytes([version + 1]) if version < 255 else b"\xff" * 17, most),
    ).fetchall()
    people: dict[bytes, Sequence[bytes]] = {}
    for (key,) in rows:
        if key not in people:
            together = connected(read, [key])
            people |= dict.fromkeys(together, together)
    return list({id(together): together for together in people.values()}.values())


def move(write: sqlite3.Connection, moves: Mapping[bytes, bytes]) -> None:
    """Puts new keys in the place of old ones."""
    write.execute("pragma secure_delete = on")
    before = write.total_changes

    def new(key: bytes | None) -> bytes | None:
        return key if key is None else moves.get(key, key)

    def new_each(keys: bytes) -> bytes:
        each = [keys[at : at + PERSON_KEY_BYTES] for at in range(0, len(keys), PERSON_KEY_BYTES)]
        return b"".join(moves.get(key, key) for key in each)

    with written(write):
        for old in moves:
            entries = write.execute(
                "select sequence, person_key, other_key, affected from holder_log where person_key = ?1 or "
                "other_key = ?1",
                (old,),
            ).fetchall()
            write.executemany(
                "update holder_log set person_key = ?, other_key = ?, affected = ? where sequence = ?",
                [(new(person), new(other), new_each(affected), number) for number, person, other, affected in entries],
            )
            for column in ("person_key", "other_key"):
                write.execute(f"update holder_link set {column} = ? where {column} = ?", (moves[old], old))
            write.execute("update or replace holder_switch set person_key = ? where person_key = ?", (moves[old], old))
        if write.total_changes != before:
            write.execute("update key_move set moved_keys = moved_keys + 1")


def end(write: sqlite3.Connection, version: int) -> bool:
    """Notes that all keys are of the version that is written, if so."""
    with written(write):
        if older(write, version, 1):
            return False
        ended = write.execute("update key_move set older_secrets = x'' where key_version = ?", (version,)).rowcount
    # The log has old keys until it is written back, which waits for readers: then the next one does it.
    write.execute("pragma wal_checkpoint(truncate)")
    return bool(ended)
