"""The identity of this store, as it says it in every answer and feed."""

from collections.abc import Sequence
from typing import Protocol

from hutong.common.v1.identity_pb2 import FollowedFeed, StoreIdentity

from services.common.identities import RECORDS
from services.records.store.owner import Owner


class Followed(Protocol):
    """A region that is followed, and the feed that is taken for its own."""

    @property
    def region(self) -> str:
        """Its code."""

    @property
    def feed_id(self) -> str:
        """The feed that is followed; empty before the region was reached for the first time."""


class OwnIdentity:
    """Says who a store is: always the same region and secret, the feed that was read, the feeds it follows now."""

    def __init__(self, owner: Owner, followed: Sequence[Followed]) -> None:
        self._owner = owner
        self._followed = followed
        self._said: tuple[str, ...] = ()
        self._identity = StoreIdentity()

    def of_feed(self, feed_id: str) -> StoreIdentity:
        """Returns the identity with the feed that an answer was read from. The message is shared: nobody may change
        it."""
        said = (feed_id, *(followed.feed_id for followed in self._followed))
        if said != self._said:
            self._identity = StoreIdentity(
                kind=RECORDS,
                region=self._owner.region,
                feed_id=feed_id,
                secret_fingerprint=self._owner.secret_fingerprint,
                follows=sorted(
                    (FollowedFeed(region=one.region, feed_id=one.feed_id) for one in self._followed),
                    key=lambda feed: feed.region,
                ),
            )
            self._said = said
        return self._identity
