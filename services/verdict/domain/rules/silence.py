"""The rule of silence: a source that cannot be reached may have recorded a positive that nobody else knows.

What it recorded before it was last known is part of the evidence; what it recorded since is not. The answer says so
from some age of that knowledge on, and from a greater one is no answer any more. Of a source of which it is not even
known how far it is known, the answer says so too; it stands, for how old that knowledge is cannot be told.
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from services.common.instants import Instant


class SilentSource(Struct, frozen=True, gc=False):
    """A source that did not answer, and up to when what it recorded is known all the same; None: that is not known."""

    source: str
    known_until: Instant | None = None


class SilenceRule(Struct, frozen=True, gc=False):
    """The ages, in microseconds, from which on a silent source is told of, and makes the answer undetermined."""

    marked_after: int
    undetermined_after: int

    def marked(self, silent: Sequence[SilentSource], at: Instant) -> Sequence[SilentSource]:
        """Returns the sources that the answer tells of, in their order."""
        return [one for one in silent if one.known_until is None or at - one.known_until >= self.marked_after]

    def too_long(self, silent: Sequence[SilentSource], at: Instant) -> Sequence[SilentSource]:
        """Returns the sources that have been silent for too long, in their order."""
        limit = at - self.undetermined_after
        return [one for one in silent if one.known_until is not None and one.known_until <= limit]

    def turns(self, silent: Sequence[SilentSource]) -> Sequence[Instant]:
        """Returns when the answer will tell of a source if all stay silent, and when it will be undetermined."""
        known = [one.known_until for one in silent if one.known_until is not None]
        return [Instant(until + age) for until in known for age in (self.marked_after, self.undetermined_after)]

    def ends(self, silent: Sequence[SilentSource]) -> Instant | None:
        """Returns when the first of them will have been silent for too long; None when that will not be."""
        known = [one.known_until for one in silent if one.known_until is not None]
        return Instant(min(known) + self.undetermined_after) if known else None


def silent_sources(coverage: Mapping[str, bool], known_until: Mapping[str, Instant]) -> tuple[SilentSource, ...]:
    """Returns the sources that did not answer: who has been silent for longest first, those of which nothing is known
    last."""
    silent = [SilentSource(source, known_until.get(source)) for source, answered in coverage.items() if not answered]
    return tuple(sorted(silent, key=lambda one: (one.known_until is None, one.known_until or 0, one.source)))
