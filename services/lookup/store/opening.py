"""Which store a URL names."""

from pathlib import Path

from services.lookup.store.postgres.store import PostgresHolderStore
from services.lookup.store.protocol import HolderStore
from services.lookup.store.sqlite.store import SqliteHolderStore
from services.runtime.settings.environment import SettingsError
from services.runtime.storage.migrations import SchemaError

_SQLITE = "sqlite:///"


def open_store(url: str) -> HolderStore:
    """The store at sqlite:///relative/path, sqlite:////absolute/path or postgresql://... Raises ValueError for others,
    SettingsError for a file that is ahead of this program, and Unavailable when a file cannot be opened."""
    if url.startswith(_SQLITE) and len(url) > len(_SQLITE):
        try:
            return SqliteHolderStore(Path(url.removeprefix(_SQLITE)))
        except SchemaError as error:
            raise SettingsError(f"HUTONG_STORE_URL: {url}: {error}") from None
    if url.startswith(("postgresql://", "postgres://")):
        return PostgresHolderStore(url)
    # The URL may hold a password: only its scheme is repeated.
    raise ValueError(f"store_url: neither sqlite:///PATH nor postgresql://...: {url.partition(':')[0]!r}")
