"""Opens the store of push subscriptions that the settings name."""

from pathlib import Path

from gateway.push.store.protocol import PushStore
from services.runtime.settings.environment import SettingsError
from services.runtime.storage.schema import SchemaError

_SQLITE = "sqlite:///"


def open_store(url: str, secret_fingerprint: bytes, *, migrates: bool) -> PushStore:
    """Returns the store at sqlite:///PATH or postgresql://..., which is reached when first asked. With `migrates` it is
    made, or brought up to date, if need be.

    Raises SettingsError for a file that is not there, not up to date, of something else or of another mesh secret, and
    Unavailable when a file cannot be opened.
    """
    if url.startswith(_SQLITE):
        from gateway.push.store.sqlite import SqlitePushStore

        try:
            return SqlitePushStore(Path(url.removeprefix(_SQLITE)), secret_fingerprint, migrates=migrates)
        except SchemaError as error:
            raise SettingsError(f"HUTONG_PUSH_STORE: {url}: {error}") from None
    # Its driver is an optional dependency.
    from gateway.push.store.postgres import PostgresPushStore

    return PostgresPushStore(url, secret_fingerprint, migrates=migrates)
