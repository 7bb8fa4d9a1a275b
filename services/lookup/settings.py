"""What the lookup service takes from the environment."""

import msgspec

from services.lookup.domain.directory import Directory
from services.runtime.settings import ServerSettings


class Settings(ServerSettings, frozen=True, kw_only=True):
    """HUTONG_MESH_SECRET, HUTONG_STORE_URL, HUTONG_RECORDS, HUTONG_SOURCE_TIMEOUT, HUTONG_REPLICA, and those of
    every server.

    Raises ValueError (SettingsError when loaded) for a secret that is too short, a source that is neither a region nor
    "nation", or a time that is not positive.
    """

    store_url: str = "sqlite:///.hutong/lookup.db"
    """Where links and switches are kept: sqlite:///path or postgresql://..."""
    records: dict[str, str] = msgspec.field(default_factory=dict)
    """The record stores on the mesh: a region's code, or "nation", to host:port."""
    source_timeout: float = 1.0
    """What one record store may take to answer, in seconds; less when the caller has less time."""

    replica: str = ""
    """The name of this process among those over one store, the same after a restart; the machine's when empty."""

    def __post_init__(self) -> None:
        if len(self.mesh_secret.encode()) < 16:
            raise ValueError("HUTONG_MESH_SECRET needs at least 16 bytes")
        if not self.source_timeout > 0:
            raise ValueError("HUTONG_SOURCE_TIMEOUT must be positive")
        Directory(self.records)
