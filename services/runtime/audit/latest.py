"""The newest lines about a person, from a trail that is being written."""

from collections import deque
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from services.runtime.audit.entry import Entry, from_line
from services.runtime.audit.segments import AuditError, segments

MOST_LINES = 2_000_000
"""So many lines are read for one page, in whole segments; the next page goes on there."""


class Latest(NamedTuple):
    """Lines about a person, newest first, with their numbers. `before` is where to go on: None at the trail's
    beginning."""

    entries: list[tuple[int, Entry]]
    before: int | None


def latest(folder: Path, person: Collection[str], *, most: int, before: int | None = None) -> Latest:
    """Returns at most so many lines about a person (its keys, hexadecimal), of those before a number. Memory does not
    grow with the trail. Raises AuditError; whether the trail is whole is for `verify` to say."""
    entries: list[tuple[int, Entry]] = []
    read = 0
    about = [key.encode() for key in person]
    for path in reversed(segments(folder)):
        first = int(path.stem)
        if before is not None and first >= before:
            continue
        try:
            newest: deque[tuple[int, Entry]] = deque(maxlen=most - len(entries))
            for number, line in enumerate(_lines(path), first):
                if before is not None and number >= before:
                    break
                read += 1
                if not any(key in line for key in about):
                    continue
                entry = from_line(line)
                if not set(person).isdisjoint(entry.persons):
                    newest.append((number, entry))
        except (OSError, ValueError) as error:
            raise AuditError(f"{path}: {error}") from None
        entries += reversed(newest)
        if len(entries) == most:
            return Latest(entries, entries[-1][0])
        if read >= MOST_LINES and first:
            return Latest(entries, first)
    return Latest(entries, None)


def _lines(path: Path) -> Iterator[bytes]:
    """Yields the whole lines of a segment after its header; the last one may be about to be written."""
    with path.open("rb") as file:
        file.readline()
        for line in file:
            if line.endswith(b"\n"):
                yield line
