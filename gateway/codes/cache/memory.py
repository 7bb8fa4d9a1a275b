"""A cache within the process, bounded, the least recently used person going first."""

import time
from collections import OrderedDict
from collections.abc import Sequence
from secrets import token_hex

from gateway.codes.cache.entry import Entry
from gateway.codes.cache.protocol import Key, LaboratoryChanges, Lease, News, Peeked, Reading, Usage

PERSON_BYTES = 400
"""The bytes that a person's place in the cache takes besides what it holds, about as measured."""
ENTRY_BYTES = 900
"""The same of an entry."""


class _Person:
    __slots__ = ("bytes", "entries", "token")

    def __init__(self) -> None:
        self.bytes = PERSON_BYTES
        self.entries: dict[str, Entry] = {}
        self.token = ""


class MemoryCache:
    """Implements VerdictCache. `capacity` bounds the entries, a person's lease counting as one, and `most_bytes` what
    all of it takes."""

    def __init__(self, capacity: int, most_bytes: int = 1 << 30) -> None:
        if capacity < 1:
            raise ValueError("a cache needs room for one entry")
        self._capacity = capacity
        self._most_bytes = most_bytes
        self._bytes = 0
        self._evicted = 0
        self._people: OrderedDict[bytes, _Person] = OrderedDict()
        self._size = 0
        self._generation = ""
        self._changes = LaboratoryChanges()
        self._cursors: dict[str, str] = {}
        self._news: dict[str, int] = {}
        self._followed: frozenset[str] = frozenset()
        self._mesh = ""
        self._leader = ""
        self._leads_until = 0.0
        self._tokens = 0

    def bind(self, mesh: str) -> None:
        """See VerdictCache."""
        if mesh != self._mesh:
            self._mesh = mesh
            self._generation = ""
            self._cursors.clear()
            self._news.clear()
            self._followed = frozenset()
            self._clear()

    def peek(self, key: Key) -> Peeked | None:
        """See VerdictCache."""
        entry = self._entry(*key)
        return None if entry is None else Peeked(entry, self._news, self._followed)

    async def read(self, keys: Sequence[Key]) -> Reading:
        """See VerdictCache."""
        return Reading([self._entry(person, slot) for person, slot in keys], self._news, self._followed)

    def _entry(self, key: bytes, slot: str) -> Entry | None:
        person = self._people.get(key)
        if person is None:
            return None
        entry = person.entries.get(slot)
        if entry is None:
            return None
        if entry.standing != self._changes.count and not entry.stands(self._changes.latest):
            self._remove(person, slot)
            return None
        self._people.move_to_end(key)
        return entry

    async def lease(self, persons: Sequence[bytes]) -> Sequence[Lease | None]:
        """See VerdictCache."""
        return [self._lease(key) for key in persons]

    def _lease(self, key: bytes) -> Lease | None:
        if not self._generation:
            return None
        person = self._people.get(key)
        if person is None:
            person = self._people[key] = _Person()
            self._tokens += 1
            person.token = str(self._tokens)
            self._size += 1
            self._bytes += PERSON_BYTES
            self._evict()
        return Lease(key, self._generation, person.token, self._changes.count, self._followed)

    async def store(self, items: Sequence[tuple[Lease, str, Entry]]) -> Sequence[bool]:
        """See VerdictCache."""
        return [self._store(*item) for item in items]

    def _store(self, lease: Lease, slot: str, entry: Entry) -> bool:
        person = self._people.get(lease.person)
        if person is None or person.token != lease.token or lease.generation != self._generation:
            return False
        if slot in person.entries:
            self._remove(person, slot)
        person.entries[slot] = entry
        self._size += 1
        size = _bytes_of(entry)
        person.bytes += size
        self._bytes += size
        self._people.move_to_end(lease.person)
        self._evict()
        return True

    def _evict(self) -> None:
        while self._full() and len(self._people) > 1:
            self._evicted += len(next(iter(self._people.values())).entries)
            self._drop(next(iter(self._people)))
        if self._full():
            # One person alone is larger than the cache: the oldest slots go.
            (person,) = self._people.values()
            while self._full() and person.entries:
                self._remove(person, next(iter(person.entries)))
                self._evicted += 1

    def _full(self) -> bool:
        return self._size > self._capacity or self._bytes > self._most_bytes

    def _remove(self, person: _Person, slot: str) -> None:
        size = _bytes_of(person.entries.pop(slot))
        person.bytes -= size
        self._bytes -= size
        self._size -= 1

    async def usage(self) -> Usage:
        """See VerdictCache."""
        return Usage(self._bytes, self._evicted)

    async def forget(self, person: bytes) -> None:
        """See VerdictCache."""
        self._drop(person)

    def _drop(self, key: bytes) -> None:
        gone = self._people.pop(key, None)
        if gone is not None:
            self._size -= 1 + len(gone.entries)
            self._bytes -= gone.bytes

    async def lead(self, owner: str, seconds: float) -> bool:
        """See VerdictCache."""
        now = time.monotonic()
        if owner != self._leader and now < self._leads_until:
            return False
        self._leader, self._leads_until = owner, now + seconds
        return True

    async def resign(self, owner: str) -> None:
        """See VerdictCache."""
        if owner == self._leader:
            self._leads_until = 0.0

    async def cursor(self, feed: str) -> str | None:
        """See VerdictCache."""
        return self._cursors.get(feed)

    async def begin(self, feed: str, news: News) -> None:
        """See VerdictCache."""
        self._generation = token_hex(8)
        self._clear()
        self._changes = LaboratoryChanges()
        self._cursors[feed] = news.cursor
        self._news.pop(feed, None)
        self._take_in(feed, news)

    async def apply(self, feed: str, cursor: str, news: News) -> bool:
        """See VerdictCache."""
        if self._cursors.get(feed) != cursor:
            return False
        for person in news.persons:
            self._drop(person)
        self._changes.add(news.laboratories)
        self._cursors[feed] = news.cursor
        self._take_in(feed, news)
        return True

    def _take_in(self, feed: str, news: News) -> None:
        if news.as_of is not None:
            self._news[feed] = news.as_of
        if news.followed is not None:
            self._followed = news.followed

    async def ping(self) -> None:
        """See VerdictCache."""

    async def close(self) -> None:
        """See VerdictCache."""
        self._clear()

    def _clear(self) -> None:
        self._people.clear()
        self._size = self._bytes = 0


def _bytes_of(entry: Entry) -> int:
    return len(entry.body) + len(entry.message) + ENTRY_BYTES
