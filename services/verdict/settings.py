"""The settings of the verdict service."""

from services.runtime.settings.environment import ServerSettings, require_secret
from services.runtime.settings.kinds import Directory, SomeSeconds, Target


class Settings(ServerSettings, frozen=True, kw_only=True):
    """The settings of the verdict service, with those of every server."""

    lookup: Target = "127.0.0.1:7002"
    """The lookup service."""
    policies: Directory = ""
    """Policies of its own. Empty: those that come with the software."""
    policy_poll: SomeSeconds = 1.0
    """How often the directory is looked at."""

    def __post_init__(self) -> None:
        require_secret(self.mesh_secret)
