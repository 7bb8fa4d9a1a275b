"""Opens the store that a URL names. With the composition, the only module that knows the engines."""

from pathlib import Path

from services.records.settings import Settings
from services.records.store.protocols.records import RecordStore
from services.records.store.replica import ReplicatedStore
from services.records.store.retention import RecordPurge
from services.records.store.sqlite.store import SqliteStore
from services.runtime.clock import Clock, system_clock
from services.runtime.settings.environment import SettingsError
from services.runtime.storage.schema import SchemaError

_SQLITE = "sqlite:///"
_POSTGRES = ("postgresql://", "postgres://")


def open_store(settings: Settings, clock: Clock = system_clock) -> RecordStore:
    """Returns the store that `store_url` names; PostgreSQL is reached when first asked. With `store_migrate` it is
    made, or brought up to date, if need be.

    Raises SettingsError for any other scheme, and for a file that is not there, not up to date or of something else;
    Unavailable for a file that cannot be opened.
    """
    url = settings.store_url
    if url.startswith(_SQLITE):
        return _open_file(url, migrates=settings.store_migrate)
    if url.startswith(_POSTGRES):
        # Its driver is an optional dependency.
        from services.records.store.postgres.store import PostgresStore

        original = PostgresStore(
            url,
            pool_size=settings.store_pool,
            statement_seconds=settings.statement_timeout,
            migrates=settings.store_migrate,
        )
        if not settings.read_store_url:
            return original
        replica = PostgresStore(
            settings.read_store_url,
            pool_size=settings.store_pool,
            statement_seconds=settings.statement_timeout,
            is_replica=True,
        )
        return ReplicatedStore(original, replica, clock)
    raise SettingsError("HUTONG_STORE_URL: begins with sqlite:/// or postgresql://")


def open_purge(settings: Settings) -> RecordPurge:
    """Returns the store that `store_url` names, for a purge. Raises as `open_store` does; a file is never made."""
    url = settings.store_url
    if url.startswith(_SQLITE):
        return _open_file(url, migrates=False)
    if url.startswith(_POSTGRES):
        from services.records.store.postgres.store import PostgresStore

        return PostgresStore(url, pool_size=settings.store_pool, statement_seconds=settings.statement_timeout)
    raise SettingsError("HUTONG_STORE_URL: begins with sqlite:/// or postgresql://")


async def open_checked_store(settings: Settings) -> RecordStore:
    """Returns the same as `open_store`, after a look at its tables. Raises SettingsError also when they are not up to
    date; a database that cannot be asked yet is no reason not to start."""
    if settings.store_url.startswith(_POSTGRES) and not settings.store_migrate:
        from services.records.store.postgres.store import PostgresStore

        looking = PostgresStore(settings.store_url, pool_size=1, statement_seconds=settings.statement_timeout)
        try:
            await looking.check_schema()
        except SchemaError as error:
            raise SettingsError(f"HUTONG_STORE_URL: {error}") from None
        finally:
            await looking.close()
    return open_store(settings)


def _open_file(url: str, *, migrates: bool) -> SqliteStore:
    try:
        return SqliteStore(Path(url.removeprefix(_SQLITE)), migrates=migrates)
    except SchemaError as error:
        raise SettingsError(f"HUTONG_STORE_URL: {url}: {error}") from None
