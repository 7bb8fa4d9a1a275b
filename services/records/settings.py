"""The settings of a records service."""

from collections.abc import Collection, Mapping

from services.common.mesh_directory import Member, MeshDirectory
from services.common.mesh_secret import parse_mesh_secret
from services.common.regions import NATION, divisions
from services.records.store.owner import Owner
from services.runtime.settings.directory import read_directory
from services.runtime.settings.environment import ServerSettings, SettingsError
from services.runtime.settings.kinds import (
    File,
    Flag,
    Hours,
    Members,
    Name,
    Pool,
    Region,
    Regions,
    ReplicaUrl,
    Seconds,
    SomeSeconds,
    StoreUrl,
)


class Settings(ServerSettings, frozen=True, kw_only=True):
    """The settings of a records service, with those of every server."""

    region: Region
    """Whose records these are: a province-level code of GB/T 2260, or "nation"."""
    keeps: Regions = ()
    """The regions whose records may be written here. Empty, as in a region it must be: the region itself; the nation:
    all it does not follow."""
    store_url: StoreUrl
    """Where records are kept: sqlite:///relative/path, sqlite:////absolute/path, or postgresql://user@host/database.
    Several hosts (postgresql://user@a:5432,b:5432/database) may be primary: the one that can be written is found."""
    store_url_file: File = ""
    """A file with that URL, in place of store_url: it may hold a password, and a process's environment is seen by more
    than its files. Read once, at start."""
    read_store_url: ReplicaUrl = ""
    """A replica of a PostgreSQL store, from which people are read while it keeps up. Empty: there is none."""
    read_store_url_file: File = ""
    """A file with that URL, in place of read_store_url; an empty file: there is none."""
    directory: Members = ""
    """Who is on the mesh; the nation follows those regions. The same file as lookup's and the gateway's."""
    clock_skew: Seconds = 600.0
    """How far ahead a laboratory's clock may be before its times count as lying in the future."""
    store_pool: Pool = 8
    """At most this many connections to PostgreSQL, at least 2."""
    statement_timeout: SomeSeconds = 5.0
    """How long one statement, or waiting for a connection, may take in PostgreSQL."""
    store_migrate: Flag = False
    """Makes the store when it is not there, and brings its tables up to date, instead of refusing to start: for
    embedded services and tests. Otherwise `hutong migrate` does."""
    answers_kept: SomeSeconds = 72 * 3600.0
    """How long a request_id is remembered."""

    witness: Name = ""
    """The folder in which this store's service keeps what it has seen of others' audit trails, whose checkpoints it
    co-signs; with its key. Empty: it co-signs none."""
    overdue_hours: Hours = 24
    """From how many hours after sampling a missing result is overdue, unless a request says otherwise."""
    quality_every: Seconds = 300.0
    """How often the laboratories' figures are refreshed as metrics; 0 for never."""

    def check(self) -> None:
        """Raises SettingsError when the settings contradict each other, or have no secret: for who is about to open
        the store, and would leave a file behind."""
        keeps = self.kept_regions(self.followed)
        others = sorted(keeps - {self.region})
        if self.region != NATION and others:
            raise SettingsError(f"HUTONG_KEEPS: {others} have stores of their own: what is written here they never see")
        if self.read_store_url and self.store_url.startswith("sqlite:"):
            raise SettingsError("HUTONG_READ_STORE_URL: a file has no replica, only a store on PostgreSQL")
        self.check_secret()

    @property
    def followed(self) -> Mapping[str, Member]:
        """The regions to follow, where they are and which feed they must have: of the nation, all on the mesh. Raises
        SettingsError."""
        return self._members().regions if self.region == NATION else {}

    @property
    def directory_version(self) -> str:
        """Names what the list of members says by which the nation follows; empty for a region, and without a list.
        Raises SettingsError."""
        if self.region != NATION or not self.directory:
            return ""
        return self._members().version

    def _members(self) -> MeshDirectory:
        try:
            return read_directory(self.directory)
        except ValueError as error:
            raise SettingsError(str(error)) from None

    def kept_regions(self, followed: Collection[str]) -> frozenset[str]:
        """`keeps`, or what it stands for when empty, in a store that follows these regions.

        Raises SettingsError when the settings contradict each other.
        """
        known = divisions()
        if self.region != NATION and self.region not in known:
            raise SettingsError(f"HUTONG_REGION: {self.region!r} is neither a province-level code nor {NATION!r}")
        for name, codes in (("HUTONG_KEEPS", self.keeps), ("HUTONG_DIRECTORY", tuple(followed))):
            unknown = [code for code in codes if code not in known]
            if unknown:
                raise SettingsError(f"{name}: {unknown} are not province-level codes")
        keeps = frozenset(self.keeps)
        if not keeps:
            keeps = frozenset(known) - frozenset(followed) if self.region == NATION else frozenset([self.region])
        both = sorted(keeps & frozenset(followed))
        if both:
            raise SettingsError(f"HUTONG_KEEPS and HUTONG_DIRECTORY both name {both}: a region is written in one place")
        return keeps

    def owner(self) -> Owner:
        """Returns whose the store is that these settings are for."""
        secret = parse_mesh_secret(self.mesh_secret)
        return Owner(self.region, secret.fingerprint(), lambda: secret.fingerprints)

    def check_secret(self) -> None:
        """Raises SettingsError when the secret is too short."""
        try:
            parse_mesh_secret(self.mesh_secret)
        except ValueError as error:
            raise SettingsError(f"HUTONG_MESH_SECRET: {error}") from None
