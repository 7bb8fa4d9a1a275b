"""The entry of a verdict in the cache, and the rules of when it may be shown."""

from collections.abc import Collection, Mapping

import msgspec
from hutong.lookup.v1.evidence_service_pb2 import SourceStatus
from hutong.verdict.v1.verdict_pb2 import Status, Verdict

from services.common.instants import HOUR, SECOND, Instant, from_timestamp

LONGEST = HOUR
"""No entry is fresh for longer, whatever its verdict says: what a lost change could do ends here."""
PARTIAL = 3 * SECOND
"""How long an answer is fresh that some source had no part in: long enough to break a stampede."""
BOUND_SECONDS = 5.0
"""No code is shown as current that a change has outdated for longer, whatever is cut off (docs/decisions/0009)."""
WITHOUT_NEWS = 3 * SECOND
"""How long after it was asked for an entry counts while news are missing. A source that has itself not heard of a
change for two seconds says so and is not relied on alone, so that both together stay within the bound."""
JITTER = 0.1
"""At most this share of an entry's time is taken off at random, so that neighbours do not expire together."""


SOURCE_SILENT = "SOURCE_SILENT"
"""The reason by which a verdict says that a source could not be reached."""


class Entry(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A verdict, rendered. Instants are microseconds since the epoch; 0 stands for none."""

    body: bytes
    """The JSON of the code without its opening brace and freshness: see `gateway.http.views.code`."""
    message: bytes
    """The serialized ShowHealthCodeResponse without its freshness."""
    region: str
    scope: int
    status: int
    computed_at: int
    fresh_until: int
    """Shown as it is while now is before it."""
    valid_until: int
    """Shown as the last known verdict while now is before it, when none can be computed."""
    laboratories: tuple[str, ...]
    """Whose standing it rests on."""
    standing: int
    """How many changes of any laboratory's standing the cache had seen when the evidence was asked for."""
    digest: bytes
    """Of the region's policies when the evidence was asked for."""
    asked_at: int = 0
    """When the evidence was asked for."""
    partial: bool = False
    """True when a source that was to be asked did not answer, and the code is to be marked for it."""
    feeds: tuple[str, ...] = ()
    """The feeds that it rests on, as REGION/FEED_ID, the nation's among them."""

    unknown: bool = False
    """True when nothing is known of the person: no test of theirs was found, and every source answered."""

    body_digest: bytes = b""
    """The digest of the body (BLAKE2b, 16 bytes), for the audit trail."""

    def stands(self, changed: Mapping[str, int]) -> bool:
        """Tells whether no laboratory it rests on changed since; `changed` maps a laboratory to its latest change."""
        return all(changed.get(laboratory, 0) <= self.standing for laboratory in self.laboratories)

    def fresh(self, now: Instant, digest: bytes | None) -> bool:
        """Tells whether it is what would be computed now, as far as time and policies go."""
        return now < self.fresh_until and digest == self.digest

    def displayable(self, now: Instant, digest: bytes | None) -> bool:
        """Tells whether it may be shown as the last known verdict when none can be computed. Policies that cannot be
        asked for are taken not to have changed: `digest` is then the last one known."""
        return now < self.valid_until and (digest is None or digest == self.digest)


def is_partial(verdict: Verdict) -> bool:
    """Tells whether a source did not answer, and the region's policy wants the code marked for it: it might have
    changed the verdict. One that is POSITIVE would be it all the same, and UNDETERMINED says so itself."""
    return any(reason.code == SOURCE_SILENT for reason in verdict.reasons)


def feeds_of(verdict: Verdict, told: Mapping[str, str], followed: Collection[str]) -> tuple[str, ...] | None:
    """Names the feeds that a verdict rests on: those of the sources that answered, as `told` by source. None: one of
    them is not among those that are `followed`, and nobody would tell of its changes."""
    feeds = tuple(
        f"{one.source}/{told.get(one.source, '')}"
        for one in verdict.coverage
        if one.status == SourceStatus.SOURCE_STATUS_OK
    )
    return feeds if all(feed in followed for feed in feeds) else None


def fresh_until(verdict: Verdict, person: bytes, now: Instant, chance: float, *, told: bool = True) -> Instant | None:
    """Returns until when a verdict computed now may be served from a cache; None: it must not be cached.

    UNDETERMINED never is: the source may be back. Nor are the verdicts of a person with several documents, because a
    change under one of their keys would not find the entry under another. `chance` in [0, 1) shortens the time; `told`
    is False when it rests on a feed that nobody follows, of which no change would be told.
    """
    if verdict.status == Status.STATUS_UNDETERMINED or list(verdict.person_keys) != [person]:
        return None
    until = Instant(now + LONGEST)
    if verdict.HasField("fresh_until"):
        until = min(until, from_timestamp(verdict.fresh_until))
    if not told or any(source.status != SourceStatus.SOURCE_STATUS_OK for source in verdict.coverage):
        until = min(until, Instant(now + PARTIAL))
    if until <= now:
        return None
    return Instant(until - int((until - now) * JITTER * chance))
