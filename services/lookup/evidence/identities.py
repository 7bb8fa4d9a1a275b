"""Checks whom lookup reached: a store that is another than was meant is taken for unreachable, with a reason.

The directory may say which feed a store must have. Else the nation says which feed it follows of each region; another
one of that region is not used. Of the nation's own feed, and of a region's until the nation has said, the first that
was met counts. A nation's store that was made anew is found by itself: when for SETTLED_SECONDS nobody but it has
answered, and it has heard of every region by the feed that was known.
"""

import logging
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace

from hutong.common.v1.identity_pb2 import StoreIdentity

from services.common.errors import Unavailable
from services.common.identities import FEED_CHANGED, REASONS, RECORDS, ExpectedStore
from services.common.regions import NATION
from services.lookup.metrics import WRONG_SOURCES

log = logging.getLogger("hutong.lookup.source")


SETTLED_SECONDS = 10.0
"""For so long nobody but another store of the nation must have answered before it is taken for one that was made anew:
where two answer behind one name, the former one does so meanwhile."""


class SourceIdentities:
    """The identities that sources must have, and those that said something else."""

    def __init__(
        self,
        sources: Iterable[str],
        secret_fingerprint: bytes,
        feeds: Mapping[str, str],
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        """`feeds` are those that the directory says the sources must have; `seconds` is a clock that never goes
        back."""
        self._feeds = dict(feeds)
        self._seconds = seconds
        self._newcomer = ("", 0.0)
        self.changes = 0
        """Counts the changes of what `feeds` returns."""
        self._expected = {
            source: ExpectedStore(RECORDS, source, secret_fingerprint, self._feeds.get(source, ""))
            for source in sources
        }
        self._reasons: dict[str, str] = {}
        for source in self._expected:
            for reason in REASONS:
                WRONG_SOURCES.labels(source, reason).set(0)

    def reason(self, source: str) -> str:
        """Returns why the source's answers are not used; empty when they are, or when it does not answer."""
        return self._reasons.get(source, "")

    def feeds(self) -> Mapping[str, str]:
        """Returns the feeds that are taken for the sources' own, of those that are known."""
        return {source: expected.feed_id for source, expected in self._expected.items() if expected.feed_id}

    def expected(self, source: str) -> ExpectedStore:
        """Returns who a source must be."""
        return self._expected[source]

    def check(self, source: str, identity: StoreIdentity, behind: Collection[str] = ()) -> None:
        """Raises Unavailable (WRONG_STORE, OTHER_SECRET, FEED_CHANGED) for a store that is not the one meant; `behind`
        are the regions that the nation's has not heard of lately."""
        try:
            self._expected[source].check(identity)
        except Unavailable as error:
            if source != NATION or error.reason != FEED_CHANGED or not self._made_anew(identity, behind):
                raise
            log.error(
                "the nation's store was made anew: what it kept itself, and not for a region, is what it has now",
                extra={"source": source, "feed": identity.feed_id},
            )
            self._expect(NATION, identity.feed_id)
        if source == NATION:
            self._newcomer = ("", 0.0)
        if source in self._reasons:
            log.warning("source is again the one that is meant", extra={"source": source})
            WRONG_SOURCES.labels(source, self._reasons.pop(source)).set(0)
        if not self._expected[source].feed_id:
            self._expect(source, identity.feed_id)
        if source == NATION:
            for feed in identity.follows:
                if feed.feed_id and feed.region in self._expected:
                    self._expect(feed.region, feed.feed_id)

    def note(self, source: str, reason: str, error: Exception) -> None:
        """Tells operators that a source is not the one that is meant, once for each reason."""
        if self._reasons.get(source) == reason:
            return
        log.error(
            "source is not the one that is meant", extra={"source": source, "reason": reason, "error": str(error)}
        )
        if source in self._reasons:
            WRONG_SOURCES.labels(source, self._reasons[source]).set(0)
        self._reasons[source] = reason
        WRONG_SOURCES.labels(source, reason).set(1)

    def _made_anew(self, identity: StoreIdentity, behind: Collection[str]) -> bool:
        """Tells whether another store of the nation has taken the place of the former one for good."""
        followed = {feed.region: feed.feed_id for feed in identity.follows}
        known = {source: feed for source, feed in self.feeds().items() if source != NATION}
        if NATION in self._feeds or behind or any(followed.get(region) != feed for region, feed in known.items()):
            self._newcomer = ("", 0.0)
            return False
        feed_id, since = self._newcomer
        if feed_id != identity.feed_id:
            self._newcomer = (identity.feed_id, self._seconds())
            return False
        return self._seconds() - since >= SETTLED_SECONDS

    def _expect(self, source: str, feed_id: str) -> None:
        if source not in self._feeds and self._expected[source].feed_id != feed_id:
            self._expected[source] = replace(self._expected[source], feed_id=feed_id)
            self.changes += 1
