"""What the verdict service takes from the environment."""

from services.runtime.settings import ServerSettings


class Settings(ServerSettings, frozen=True, kw_only=True):
    """HUTONG_MESH_SECRET, HUTONG_LOOKUP, HUTONG_POLICIES, HUTONG_POLICY_POLL, and those of every server.

    Raises ValueError (SettingsError when loaded) for a secret that is too short or a time that is not positive.
    """

    lookup: str = "127.0.0.1:7004"
    """The lookup service, host:port or a gRPC name."""
    policies: str = ""
    """The directory of policies; empty: those that come with the software."""
    policy_poll: float = 1.0
    """How often the directory is looked at, in seconds."""

    def __post_init__(self) -> None:
        if len(self.mesh_secret.encode()) < 16:
            raise ValueError("HUTONG_MESH_SECRET needs at least 16 bytes")
        if not self.policy_poll > 0:
            raise ValueError("HUTONG_POLICY_POLL must be positive")
