"""Opens the store of supervision that the settings name."""

from pathlib import Path

from gateway.supervision.store.protocol import SupervisionStore
from services.runtime.settings.environment import SettingsError
from services.runtime.storage.schema import SchemaError

_SQLITE = "sqlite:///"


def open_store(url: str, secret_fingerprint: bytes, *, migrates: bool) -> SupervisionStore | None:
    """Returns the store at sqlite:///PATH or postgresql://..., which is reached when first asked; None for an empty
    URL. With `migrates` it is made, or brought up to date, if need be.

    Raises SettingsError for a file that is not there, not up to date, of something else or of another mesh secret, and
    Unavailable when a file cannot be opened.
    """
    if not url:
        return None
    if url.startswith(_SQLITE):
        from gateway.supervision.store.sqlite import SqliteSupervisionStore

        try:
            return SqliteSupervisionStore(Path(url.removeprefix(_SQLITE)), secret_fingerprint, migrates=migrates)
        except SchemaError as error:
            raise SettingsError(f"HUTONG_SUPERVISION_STORE: {url}: {error}") from None
    # Its driver is an optional dependency.
    from gateway.supervision.store.postgres import PostgresSupervisionStore

    return PostgresSupervisionStore(url, secret_fingerprint, migrates=migrates)
