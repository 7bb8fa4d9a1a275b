"""The identity of this store, as it says it in every answer and feed."""

import time
from collections.abc import Sequence
from typing import Protocol

from hutong.common.v1.identity_pb2 import FollowedFeed, StoreIdentity

from services.common.identities import RECORDS, require_meant
from services.records.store.owner import Owner
from services.records.store.schemas import SCHEMAS
from services.records.store.values.feed import Head
from services.runtime.version import VERSION

LOOK_SECONDS = 1.0
"""How often a store that is only written to is asked for its feed."""


class Followed(Protocol):
    """A region that is followed, and the feed that is taken for its own."""

    @property
    def region(self) -> str:
        """Its code."""

    @property
    def feed_id(self) -> str:
        """The feed that is followed; empty before the region was reached for the first time."""


class FeedEnd(Protocol):
    """A store that tells its feed."""

    async def head(self) -> Head:
        """Returns the end of the feed. Raises Unavailable."""


class Versions(Protocol):
    """The versions of the mesh's secret in a store."""

    @property
    def older(self) -> Sequence[bytes]:
        """The fingerprints of versions that are still being left."""


class OwnIdentity:
    """Says who a store is: always the same region and secret, the feed that was read, the feeds it follows now."""

    def __init__(
        self,
        owner: Owner,
        followed: Sequence[Followed],
        store: FeedEnd,
        versions: Versions,
        *,
        directory_version: str = "",
    ) -> None:
        """`directory_version` names the list of members by which regions are followed."""
        self._owner = owner
        self._followed = followed
        self._store = store
        self._versions = versions
        self._directory_version = directory_version
        self._said: tuple[tuple[str, ...], Sequence[bytes]] | None = None
        self._identity = StoreIdentity()
        self._feed_id = ""
        self._looked = float("-inf")

    def of_feed(self, feed_id: str) -> StoreIdentity:
        """Returns the identity with the feed that an answer was read from. The message is shared: nobody may change
        it."""
        older = self._versions.older
        said = (feed_id, *(followed.feed_id for followed in self._followed)), older
        if said != self._said:
            self._identity = StoreIdentity(
                kind=RECORDS,
                region=self._owner.region,
                feed_id=feed_id,
                secret_fingerprint=self._owner.secret_fingerprint,
                older_secret_fingerprints=older,
                follows=sorted(
                    (FollowedFeed(region=one.region, feed_id=one.feed_id) for one in self._followed),
                    key=lambda feed: feed.region,
                ),
                directory_version=self._directory_version,
                program_version=VERSION,
                schema=SCHEMAS.newest,
            )
            self._said = said
        return self._identity

    async def now(self) -> StoreIdentity:
        """Returns the identity with the feed as the store told it within the last second; the message is shared. Raises
        Unavailable."""
        if time.monotonic() - self._looked > LOOK_SECONDS:
            self._feed_id = (await self._store.head()).feed_id
            self._looked = time.monotonic()
        return self.of_feed(self._feed_id)

    async def require(self, meant: StoreIdentity) -> None:
        """Raises Unavailable (WRONG_STORE, OTHER_SECRET, FEED_CHANGED) where a request means another store."""
        require_meant(meant, await self.now())
