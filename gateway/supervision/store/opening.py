"""Opens the store of supervision that the settings name."""

from pathlib import Path

from gateway.supervision.store.protocol import SupervisionStore
from gateway.supervision.store.schemas import SCHEMAS
from services.common.errors import Text
from services.runtime.storage.opening import open_at
from services.runtime.storage.owner import Owner

_OTHERWISE = Text("其中的拒认无法重开", "no refusal in it could be opened again")


def open_store(url: str, secret_fingerprint: bytes, *, migrates: bool) -> SupervisionStore | None:
    """Returns the store at sqlite:///PATH or postgresql://..., which is reached when first asked; None for an empty
    URL. With `migrates` it is made, or brought up to date, if need be.

    Raises SettingsError for a file that is not there, not up to date, of something else or of another mesh secret, and
    Unavailable when a file cannot be opened.
    """
    if not url:
        return None
    owner = Owner(secret_fingerprint, SCHEMAS.store, _OTHERWISE)

    def file(path: Path) -> SupervisionStore:
        from gateway.supervision.store.sqlite import SqliteSupervisionStore

        return SqliteSupervisionStore(path, owner, migrates=migrates)

    def database(url: str) -> SupervisionStore:
        # Its driver is an optional dependency.
        from gateway.supervision.store.postgres import PostgresSupervisionStore

        return PostgresSupervisionStore(url, owner, migrates=migrates)

    return open_at(url, SCHEMAS.setting, file, database)
