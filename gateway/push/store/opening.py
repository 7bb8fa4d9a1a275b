"""Opens the store of push subscriptions that the settings name."""

from pathlib import Path

from gateway.push.store.protocol import PushStore
from gateway.push.store.schemas import SCHEMAS
from services.common.errors import Text
from services.runtime.storage.opening import open_at
from services.runtime.storage.owner import Owner

_OTHERWISE = Text("无人会收到提醒", "nobody would be told")


def open_store(url: str, secret_fingerprint: bytes, *, migrates: bool) -> PushStore:
    """Returns the store at sqlite:///PATH or postgresql://..., which is reached when first asked. With `migrates` it is
    made, or brought up to date, if need be.

    Raises SettingsError for a file that is not there, not up to date, of something else or of another mesh secret, and
    Unavailable when a file cannot be opened.
    """
    owner = Owner(secret_fingerprint, SCHEMAS.store, _OTHERWISE)

    def file(path: Path) -> PushStore:
        from gateway.push.store.sqlite import SqlitePushStore

        return SqlitePushStore(path, owner, migrates=migrates)

    def database(url: str) -> PushStore:
        # Its driver is an optional dependency.
        from gateway.push.store.postgres import PostgresPushStore

        return PostgresPushStore(url, owner, migrates=migrates)

    return open_at(url, SCHEMAS.setting, file, database)
