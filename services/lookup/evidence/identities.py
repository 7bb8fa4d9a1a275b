"""Checks whom lookup reached: a store that is another than was meant is taken for unreachable, with a reason.

The directory may say which feed a store must have. Else the nation says which feed it follows of each region; another
one of that region is not used. Of the nation's own feed,
and of a region's until the nation has said, the first that was met counts.
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace

from hutong.common.v1.identity_pb2 import StoreIdentity

from services.common.identities import REASONS, RECORDS, ExpectedStore
from services.common.regions import NATION
from services.lookup.metrics import WRONG_SOURCES

log = logging.getLogger("hutong.lookup.source")


class SourceIdentities:
    """The identities that sources must have, and those that said something else."""

    def __init__(self, sources: Iterable[str], secret_fingerprints: frozenset[bytes], feeds: Mapping[str, str]) -> None:
        """`feeds` are those that the directory says the sources must have."""
        self._feeds = dict(feeds)
        self._expected = {
            source: ExpectedStore(RECORDS, source, secret_fingerprints, self._feeds.get(source, ""))
            for source in sources
        }
        self._reasons: dict[str, str] = {}
        for source in self._expected:
            for reason in REASONS:
                WRONG_SOURCES.labels(source, reason).set(0)

    def reason(self, source: str) -> str:
        """Returns why the source's answers are not used; empty when they are, or when it does not answer."""
        return self._reasons.get(source, "")

    def check(self, source: str, identity: StoreIdentity) -> None:
        """Raises Unavailable (WRONG_STORE, OTHER_SECRET, FEED_CHANGED) for a store that is not the one meant."""
        self._expected[source].check(identity)
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

    def _expect(self, source: str, feed_id: str) -> None:
        if source not in self._feeds and self._expected[source].feed_id != feed_id:
            self._expected[source] = replace(self._expected[source], feed_id=feed_id)
