"""The settings of the lookup service."""

from services.runtime.settings.environment import ServerSettings, require_secret
from services.runtime.settings.kinds import Directory, File, Flag, Members, Name, SomeSeconds, StoreUrl


class Settings(ServerSettings, frozen=True, kw_only=True):
    """The settings of the lookup service, with those of every server.

    Raises ValueError (SettingsError when loaded) without a secret, and for a source that is neither a region nor
    "nation".
    """

    store_url: StoreUrl
    """Where links and switches are kept: sqlite:///relative/path, sqlite:////absolute/path, or
    postgresql://user@host/database; of several hosts (user@a:5432,b:5432) the one that can be written is found."""
    store_url_file: File = ""
    """A file with that URL, in place of store_url: it may hold a password, and a process's environment is seen by more
    than its files. Read once, at start."""
    store_migrate: Flag = False
    """Makes the store when it is not there, and brings its tables up to date, instead of refusing to start: for
    embedded services and tests. Otherwise `hutong migrate` does."""
    directory: Members = ""
    """Who is on the mesh: the addresses and feeds of the nation's records and the regions'. The same file as the
    nation's and the gateway's."""
    source_timeout: SomeSeconds = 1.0
    """What one record store may take to answer; less when the caller has less time."""
    certificate_trust: Directory = ""
    """The certificates of those who may sign test certificates (`*.pem`), and the list of revoked ones (`revoked.txt`):
    a folder that is read again when it changes. Empty: no certificates are taken as evidence. Needs the extra
    `certificates`."""
    replica: Name = ""
    """The name of this process among those over one store, the same after a restart; the machine's when empty."""

    def __post_init__(self) -> None:
        require_secret(self.mesh_secret)
