"""The newest lines about a person, from the trails of several replicas of one service."""

from collections.abc import Collection, Sequence
from hashlib import blake2b
from heapq import merge
from pathlib import Path
from typing import NamedTuple

from services.runtime.audit.entry import Entry
from services.runtime.audit.latest import latest

Places = dict[int, int]
"""Where to go on in each trail that is not at its beginning: the number of the line before which. A trail is named by
its folder's digest. One that is not named has been read, or is newer than the first page."""


class Page(NamedTuple):
    """Lines about a person, newest first by the clocks that wrote them. Without places it is the last page."""

    entries: Sequence[Entry]
    places: Places


def page_of(folders: Sequence[Path], person: Collection[str], most: int, places: Places | None = None) -> Page:
    """Returns at most so many lines about a person (its keys, hexadecimal): the newest of all trails, or, with places,
    those that come next. Raises AuditError where one of the trails cannot be read."""
    named = {_name(folder): folder for folder in folders}
    if places is not None:
        named = {name: folder for name, folder in named.items() if name in places}
    pages = {
        name: latest(folder, person, most=most, before=places[name] if places else None)
        for name, folder in named.items()
    }
    lines = merge(
        *([(entry.at, name, number, entry) for number, entry in page.entries] for name, page in pages.items()),
        key=lambda line: line[0],
        reverse=True,
    )
    taken: list[Entry] = []
    rest: Places = {}
    for _, name, number, entry in lines:
        if len(taken) < most:
            taken.append(entry)
        else:
            # The first that is left of this trail: the next page begins with it.
            rest.setdefault(name, number + 1)
    for name, page in pages.items():
        if page.before is not None:
            rest.setdefault(name, page.before)
    return Page(taken, rest)


def _name(folder: Path) -> int:
    return int.from_bytes(blake2b(folder.name.encode(), digest_size=4).digest())
