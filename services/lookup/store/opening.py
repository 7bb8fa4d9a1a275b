"""Which store a URL names."""

from pathlib import Path

from services.lookup.store.postgres import PostgresHolderStore
from services.lookup.store.protocol import HolderStore
from services.lookup.store.sqlite import SqliteHolderStore

_SQLITE = "sqlite:///"


def open_store(url: str) -> HolderStore:
    """The store at sqlite:///relative/path, sqlite:////absolute/path or postgresql://... Raises ValueError for others,
    and Unavailable when a file cannot be opened."""
    if url.startswith(_SQLITE) and len(url) > len(_SQLITE):
        return SqliteHolderStore(Path(url.removeprefix(_SQLITE)))
    if url.startswith(("postgresql://", "postgres://")):
        return PostgresHolderStore(url)
    # The URL may hold a password: only its scheme is repeated.
    raise ValueError(f"store_url: neither sqlite:///PATH nor postgresql://...: {url.partition(':')[0]!r}")
