"""The sources that were down at an instant, found from what was noted then. Pure."""

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from services.common.instants import MINUTE, SECOND, Instant

NOTE_LIFETIME = MINUTE
"""How long the note that a source is down holds, in microseconds, unless it is noted that it came back. So an outage
that nobody saw the end of, because the process ended first, ends by itself."""

RENEWAL = 30 * SECOND
"""After so long, in microseconds, whoever still finds the source down notes it anew. Well below NOTE_LIFETIME."""

ALL_SOURCES = ""
"""In place of a source: all of them."""


class SourceState(StrEnum):
    """The states of a source that are noted."""

    DOWN = "down"
    """It is down from this instant on."""
    UP = "up"
    """It is not, from this instant on."""
    MISSED = "missed"
    """It did not answer the questions of exactly this instant. That is all that follows."""


class OutageNote(NamedTuple):
    """A note of one process about one source. `replica` names the process among those that share a store."""

    noted_at: Instant
    source: str
    replica: str
    state: SourceState


def down_at(notes: Iterable[OutageNote], instant: Instant) -> frozenset[str]:
    """The sources that any process held to be down at an instant, from all notes of the time before it in which they
    hold, in order."""
    down: set[tuple[str, str]] = set()
    for note in notes:
        if note.state == SourceState.UP:
            down = {
                (replica, source)
                for replica, source in down
                if replica != note.replica or note.source not in (ALL_SOURCES, source)
            }
        elif note.state == SourceState.DOWN or note.noted_at == instant:
            down.add((note.replica, note.source))
    return frozenset(source for _, source in down)
