"""The protocol of a cache of verdicts, whatever keeps it.

The rule that makes it safe: a miss takes the person's *lease*, a token kept beside the person's entries, before
evidence is asked for, and a verdict is stored only while that very token is still there. A change to the person removes
entries and token together. So a verdict computed from evidence read before a change is never stored after it, and
eviction can only lose what was kept. (The leases of "Scaling Memcache at Facebook", NSDI 2013, with one token for a
whole person.)
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from gateway.codes.cache.entry import Entry
from services.common.instants import Instant

Key = tuple[bytes, str]
"""A person key, and the slot of one region, scope and scene."""


HOLDERS = "holders"
"""The feed of what holders change. The other feeds have their store's name: a region's code, or `nation`."""


class CacheDownError(Exception):
    """The cache did not answer; go on without it."""


class Lease(NamedTuple):
    """The right to store verdicts on one person, until something about them changes."""

    person: bytes
    generation: str
    token: str
    standing: int
    followed: frozenset[str] = frozenset()
    """The feed of the nation and those that it followed."""


class Peeked(NamedTuple):
    """The part of a reading that can be had at once; see Reading."""

    entry: Entry
    news: Mapping[str, int]
    followed: frozenset[str]


class Reading(NamedTuple):
    """Entries in the order asked. `news` says by feed up to when its changes have reached this cache, `followed` names
    the nation's feed and those that it follows, as REGION/FEED_ID: what changes in another reaches no entry."""

    entries: Sequence[Entry | None]
    news: Mapping[str, int]
    followed: frozenset[str] = frozenset()


class Usage(NamedTuple):
    """The size of a cache in bytes, and how many entries, or keys of Redis, it has evicted for want of room since it
    was started. Of a Redis, what all of it takes."""

    bytes: int
    evicted: int


@dataclass(frozen=True, slots=True)
class News:
    """The news of a feed: whose verdicts may have changed, which laboratories' standing did, where the feed now stands,
    and up to when everything was told; `as_of` is None while more is known to follow."""

    cursor: str
    persons: Collection[bytes] = ()
    laboratories: Collection[str] = ()
    as_of: Instant | None = None
    followed: frozenset[str] | None = None
    """The feed of the nation and those that it follows, as REGION/FEED_ID; in the nation's news alone."""


@dataclass(slots=True)
class LaboratoryChanges:
    """Counts the changes of laboratories' standing that a cache has seen, and keeps the latest of each laboratory."""

    count: int = 0
    latest: dict[str, int] = field(default_factory=dict)

    def add(self, laboratories: Collection[str]) -> None:
        """Counts one more change for each of these."""
        for laboratory in laboratories:
            self.count += 1
            self.latest[laboratory] = self.count


class VerdictCache(Protocol):
    """Raises CacheDownError, and nothing else, when it cannot answer."""

    def bind(self, mesh: str) -> None:
        """Binds the cache to a mesh by its identity. Of another mesh in the same place nothing is read, and nothing is
        changed; a cache that was bound to none answers nothing."""

    def peek(self, key: Key) -> Peeked | None:
        """Reads what can be read at once; None where there is nothing, or `read` must be asked."""

    async def read(self, keys: Sequence[Key]) -> Reading:
        """Reads the entries under these keys, but those a laboratory's standing has voided, which count as not there.

        An entry may be past its time and under another policy: its reader checks."""

    async def lease(self, persons: Sequence[bytes]) -> Sequence[Lease | None]:
        """Gives leases, in order; None while nothing can be stored, because no feed was ever followed."""

    async def store(self, items: Sequence[tuple[Lease, str, Entry]]) -> Sequence[bool]:
        """Stores entries in their slots; returns, in order, False where the lease was lost."""

    async def forget(self, person: bytes) -> None:
        """Drops everything about a person, leases included."""

    async def lead(self, owner: str, seconds: float) -> bool:
        """Makes, or keeps, this owner the one that updates the cache, for so long; False while another is."""

    async def resign(self, owner: str) -> None:
        """Lets another update the cache without waiting; does nothing for an owner that does not."""

    async def cursor(self, feed: str) -> str | None:
        """Returns the cursor up to which a feed was taken in; None when that must begin anew."""

    async def begin(self, feed: str, news: News) -> None:
        """Begins to take in a feed at a cursor, with an empty cache: changes may have been missed before it."""

    async def apply(self, feed: str, cursor: str, news: News) -> bool:
        """Takes in what a feed told after `cursor`, all or nothing. Returns False, with nothing done, when the cache
        does not stand at `cursor`: another replica moved it, or the cache lost its memory."""

    async def usage(self) -> Usage:
        """Tells how much room is taken."""

    async def ping(self) -> None:
        """A sign of life."""

    async def close(self) -> None:
        """Lets go of connections."""
