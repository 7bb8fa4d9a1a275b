"""Opens the store that a URL names. With the composition, the only module that knows the engines."""

from pathlib import Path
from typing import TYPE_CHECKING

from services.common.regions import NATION
from services.records.settings import Settings
from services.records.store.owner import Owner
from services.records.store.protocols.reads import WholeStore
from services.records.store.protocols.record_store import RecordStore
from services.records.store.protocols.retention import RecordPurge
from services.records.store.sqlite.store import SqliteStore
from services.runtime.settings.environment import SettingsError
from services.runtime.settings.secret_file import SecretFile
from services.runtime.storage.schema import SchemaError

if TYPE_CHECKING:
    from services.records.store.postgres.store import PostgresStore

_SQLITE = "sqlite:///"
_POSTGRES = ("postgresql://", "postgres://")


def open_store(settings: Settings, secret: SecretFile | None = None, *, alone: bool = True) -> RecordStore:
    """Returns the store that `store_url` names; PostgreSQL is reached when first asked. With `store_migrate` it is
    made, or brought up to date, if need be. A file is locked, unless somebody else may serve it as well (`alone`). With
    `secret`, it may be of any version that is known by the time.

    Raises SettingsError for any other scheme, and for a file that is not there, not up to date, of something else,
    somebody else's or served by another process; Unavailable for a file that cannot be opened.
    """
    url = settings.store_url
    if url.startswith(_SQLITE):
        return _open_file(settings, migrates=settings.store_migrate, owner=_owner(settings, secret), alone=alone)
    if url.startswith(_POSTGRES):
        # Its driver is an optional dependency.
        from services.records.store.postgres.store import PostgresStore

        return PostgresStore(
            url,
            pool_size=settings.store_pool,
            statement_seconds=settings.statement_timeout,
            migrates=settings.store_migrate,
            drives_copies=settings.region == NATION,
            owner=_owner(settings, secret),
        )
    raise SettingsError("HUTONG_STORE_URL: begins with sqlite:/// or postgresql://")


def open_replica(settings: Settings, secret: SecretFile | None = None) -> RecordStore | None:
    """Returns the replica that `read_store_url` names, reached when first asked; None where it names none. One of
    another store's is unavailable."""
    return _replica(settings, settings.store_pool, secret) if settings.read_store_url else None


def _replica(settings: Settings, pool_size: int, secret: SecretFile | None = None) -> "PostgresStore":
    from services.records.store.postgres.store import PostgresStore

    return PostgresStore(
        settings.read_store_url,
        pool_size=pool_size,
        statement_seconds=settings.statement_timeout,
        is_replica=True,
        owner=_owner(settings, secret),
    )


def open_purge(settings: Settings) -> RecordPurge:
    """Returns the store that `store_url` names, for a purge. Raises as `open_store` does; a file is never made."""
    url = settings.store_url
    if url.startswith(_SQLITE):
        return _open_file(settings, migrates=False, owner=None, alone=False)
    if url.startswith(_POSTGRES):
        from services.records.store.postgres.store import PostgresStore

        return PostgresStore(url, pool_size=settings.store_pool, statement_seconds=settings.statement_timeout)
    raise SettingsError("HUTONG_STORE_URL: begins with sqlite:/// or postgresql://")


def open_whole(settings: Settings) -> WholeStore:
    """Returns the store that `store_url` names, for somebody who goes through all of it while it may be served. Raises
    as `open_store` does; a file is never made."""
    url = settings.store_url
    if url.startswith(_SQLITE):
        return _open_file(settings, migrates=False, owner=None, alone=False)
    if url.startswith(_POSTGRES):
        from services.records.store.postgres.store import PostgresStore

        return PostgresStore(url, pool_size=settings.store_pool, statement_seconds=settings.statement_timeout)
    raise SettingsError("HUTONG_STORE_URL: begins with sqlite:/// or postgresql://")


async def open_checked_store(settings: Settings) -> RecordStore:
    """Returns the same as `open_store`, after a look at its tables. Raises SettingsError also when they are not up to
    date or somebody else's, or the replica is; a database that cannot be asked yet is no reason not to start."""
    if settings.read_store_url:
        await _check(_replica(settings, 1), "HUTONG_READ_STORE_URL")
    if settings.store_url.startswith(_POSTGRES):
        from services.records.store.postgres.store import PostgresStore

        looking = PostgresStore(
            settings.store_url,
            pool_size=1,
            statement_seconds=settings.statement_timeout,
            migrates=settings.store_migrate,
            owner=settings.owner(),
        )
        await _check(looking, "HUTONG_STORE_URL")
    return open_store(settings)


def _owner(settings: Settings, secret: SecretFile | None) -> Owner:
    owner = settings.owner()
    return owner if secret is None else owner._replace(understood=lambda: secret.current().fingerprints)


async def _check(looking: "PostgresStore", variable: str) -> None:
    try:
        await looking.check_schema()
    except SchemaError as error:
        raise SettingsError(f"{variable}: {error}") from None
    finally:
        await looking.close()


def _open_file(settings: Settings, *, migrates: bool, owner: Owner | None, alone: bool) -> SqliteStore:
    url = settings.store_url
    try:
        # The nation sees copies and their originals.
        drives_copies = settings.region == NATION
        path = Path(url.removeprefix(_SQLITE))
        return SqliteStore(path, migrates=migrates, drives_copies=drives_copies, owner=owner, alone=alone)
    except SchemaError as error:
        raise SettingsError(f"HUTONG_STORE_URL: {url}: {error}") from None
