"""Brings the person keys in a store to the current version of the mesh's secret, all in one transaction."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from services.common.documents import PersonKeys
from services.common.mesh_secret import MeshSecret
from services.runtime.settings.environment import SettingsError
from services.runtime.storage.migration_command import CONNECT_SECONDS, POSTGRES, file_of
from services.runtime.storage.schema import SchemaError

if TYPE_CHECKING:
    import sqlite3

Own = Callable[[bytes], bytes]
"""Makes a key one of the current version."""


@dataclass(frozen=True, slots=True)
class Rekeying:
    """The ways in which one kind of store is brought to another version. Each is given a connection in a transaction,
    what makes a key one of the current version, and the secret, and returns how many people there are."""

    sqlite: "Callable[[sqlite3.Connection, Own, MeshSecret], int]"
    postgres: "Callable[[Any, Own, MeshSecret], Awaitable[int]]"


async def rekey(rekeying: Rekeying, store_url: str, text: str, secret: MeshSecret) -> int:
    """Brings a store to the current version of a secret, `text` as it was read; returns how many people are in it.

    Nobody may serve the store meanwhile: its service goes on under the version that it knows. Raises SchemaError where
    somebody does, and where keys are of a version that the secret lacks; SettingsError for another URL, and the errors
    of the driver as they are. Nothing is changed then.
    """
    own = PersonKeys(text.encode()).own
    if store_url.startswith(POSTGRES):
        return await _postgres(rekeying, store_url, own, secret)
    path = file_of(store_url)
    if path is None:
        raise SettingsError("--store-url: begins with sqlite:/// or postgresql://")
    return _sqlite(rekeying, path, own, secret)


def _sqlite(rekeying: Rekeying, path: Path, own: Own, secret: MeshSecret) -> int:
    from contextlib import closing

    from services.runtime.storage.sqlite import file
    from services.runtime.storage.sqlite.lock import FileLock

    if not path.exists():
        raise SettingsError(f"--store-url: there is no file {path}")
    lock = FileLock(path)
    try:
        with closing(file.connect(path)) as connection:
            connection.create_function("own_key", 1, lambda key: None if key is None else own(key), deterministic=True)
            connection.execute("begin immediate")
            try:
                people = rekeying.sqlite(connection, own, secret)
                connection.execute("commit")
            except BaseException:
                connection.execute("rollback")
                raise
            # What was overwritten is in no free page either.
            connection.execute("vacuum")
            connection.execute("pragma wal_checkpoint(truncate)")
            return people
    finally:
        lock.release()


async def _postgres(rekeying: Rekeying, store_url: str, own: Own, secret: MeshSecret) -> int:
    # Its driver is an optional dependency.
    import asyncpg

    connection = await asyncpg.connect(store_url, timeout=CONNECT_SECONDS)
    try:
        others = await connection.fetchval(
            "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() "
            "and usename = current_user and backend_type = 'client backend'"
        )
        if others:
            raise SchemaError(
                f"还有 {others} 个连接在使用此库，请先停止其服务 / "
                f"{others} others are connected to this store: stop its services first"
            )
        async with connection.transaction():
            await connection.execute("set local statement_timeout = 0")
            return await rekeying.postgres(connection, own, secret)
    finally:
        await connection.close()


async def map_keys(connection: Any, query: str, own: Own) -> None:
    """Makes the temporary table moved_key (old_key, new_key) of the keys of other versions among those of a query."""
    await connection.execute("create temporary table moved_key (old_key bytea, new_key bytea) on commit drop")
    pairs = [(key, own(key)) async for (key,) in connection.cursor(query, prefetch=5_000)]
    moved = [(old, new) for old, new in pairs if old != new]
    await connection.copy_records_to_table("moved_key", records=moved, columns=["old_key", "new_key"])
    await connection.execute("create index on moved_key (old_key); analyze moved_key")
