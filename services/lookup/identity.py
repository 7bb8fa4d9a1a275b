"""The identity of lookup: of its store of links and switches, with the feeds of the stores that it asks."""

import time
from collections.abc import Sequence
from typing import Protocol

from hutong.common.v1.identity_pb2 import FollowedFeed, StoreIdentity

from services.common.identities import HOLDERS, require_meant
from services.lookup.evidence.identities import SourceIdentities
from services.lookup.store.schemas import SCHEMAS
from services.runtime.version import VERSION

LOOK_SECONDS = 1.0
"""How often the store is asked for its feed."""


class HolderLog(Protocol):
    """A store that names the history in which its log counts."""

    async def feed_id(self) -> str:
        """See HolderStore."""


class Versions(Protocol):
    """The versions of the mesh's secret in a store."""

    @property
    def older(self) -> Sequence[bytes]:
        """The fingerprints of versions that are still being left."""


class OwnIdentity:
    """Says who lookup is, and which feeds it takes for those of the stores it asks."""

    def __init__(
        self,
        store: HolderLog,
        sources: SourceIdentities,
        versions: Versions,
        *,
        secret_fingerprint: bytes,
        directory_version: str,
    ) -> None:
        """`directory_version` names the list of members by which stores are asked."""
        self._store = store
        self._sources = sources
        self._versions = versions
        self._secret_fingerprint = secret_fingerprint
        self._directory_version = directory_version
        self._feed_id = ""
        self._looked = float("-inf")
        self._said: tuple[str, int, Sequence[bytes]] | None = None
        self._identity = StoreIdentity()

    async def now(self) -> StoreIdentity:
        """Returns the identity. The message is shared: nobody may change it. Raises Unavailable (STORE_UNAVAILABLE)."""
        if time.monotonic() - self._looked > LOOK_SECONDS:
            self._feed_id = await self._store.feed_id()
            self._looked = time.monotonic()
        older = self._versions.older
        said = (self._feed_id, self._sources.changes, older)
        if said != self._said:
            self._identity = StoreIdentity(
                kind=HOLDERS,
                feed_id=self._feed_id,
                secret_fingerprint=self._secret_fingerprint,
                older_secret_fingerprints=older,
                follows=[
                    FollowedFeed(region=source, feed_id=feed) for source, feed in sorted(self._sources.feeds().items())
                ],
                directory_version=self._directory_version,
                program_version=VERSION,
                schema=SCHEMAS.newest,
            )
            self._said = said
        return self._identity

    async def require(self, meant: StoreIdentity) -> None:
        """Raises Unavailable (WRONG_STORE, OTHER_SECRET, FEED_CHANGED) where a request means another store."""
        require_meant(meant, await self.now())
