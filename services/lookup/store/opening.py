"""Opens the store that the settings name."""

from pathlib import Path

from services.common.mesh_secret import parse_mesh_secret
from services.lookup.settings import Settings
from services.lookup.store.owner import Owner
from services.lookup.store.protocol import HolderStore
from services.lookup.store.sqlite.store import SqliteHolderStore
from services.runtime.settings.environment import SettingsError
from services.runtime.settings.secret_file import SecretFile
from services.runtime.storage.schema import SchemaError

_SQLITE = "sqlite:///"


def open_store(settings: Settings, secret: SecretFile | None = None, *, alone: bool = True) -> HolderStore:
    """The store at sqlite:///relative/path, sqlite:////absolute/path or postgresql://..., which is reached when first
    asked. With `store_migrate` it is made, or brought up to date, if need be. A file is locked, unless somebody else
    may serve it as well (`alone`).

    Raises ValueError for other URLs, SettingsError for a file that is not there, not up to date, of something else or
    of another mesh secret, and Unavailable when a file cannot be opened.
    """
    url = settings.store_url
    owner = _owner(settings, secret)
    if url.startswith(_SQLITE) and len(url) > len(_SQLITE):
        try:
            path = Path(url.removeprefix(_SQLITE))
            return SqliteHolderStore(path, owner, migrates=settings.store_migrate, alone=alone)
        except SchemaError as error:
            raise SettingsError(f"HUTONG_STORE_URL: {url}: {error}") from None
    if url.startswith(("postgresql://", "postgres://")):
        # Its driver is an optional dependency.
        from services.lookup.store.postgres.store import PostgresHolderStore

        return PostgresHolderStore(url, owner, migrates=settings.store_migrate)
    # The URL may hold a password: only its scheme is repeated.
    raise ValueError(f"store_url: neither sqlite:///PATH nor postgresql://...: {url.partition(':')[0]!r}")


def _owner(settings: Settings, secret: SecretFile | None) -> Owner:
    read = parse_mesh_secret(settings.mesh_secret)
    if secret is None:
        return Owner(read.fingerprint(), lambda: read.fingerprints)
    return Owner(secret.own_fingerprint, lambda: secret.current().fingerprints | {secret.own_fingerprint})


async def open_checked_store(settings: Settings) -> HolderStore:
    """Opens the store after a look at its tables. Raises SettingsError also when those of a database are not up to
    date, or its keys are another mesh secret's; one that cannot be asked yet is no reason not to start."""
    if not settings.store_url.startswith("sqlite:"):
        from services.lookup.store.postgres.store import PostgresHolderStore

        looking = PostgresHolderStore(
            settings.store_url,
            _owner(settings, None),
            pool_size=1,
            migrates=settings.store_migrate,
        )
        try:
            await looking.check_schema()
        except SchemaError as error:
            raise SettingsError(f"HUTONG_STORE_URL: {error}") from None
        finally:
            await looking.close()
    return open_store(settings)
