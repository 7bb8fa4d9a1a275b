"""A cache shared by every replica of the gateway, in Redis."""

import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache
from secrets import token_hex
from typing import Any

import msgspec
from redis.exceptions import RedisError

from gateway.codes.cache import scripts
from gateway.codes.cache.entry import Entry
from gateway.codes.cache.protocol import CacheDownError, Key, LaboratoryChanges, Lease, News, Peeked, Reading, Usage
from services.common.instants import Instant
from services.runtime.resilience.batches import Batches
from services.runtime.resilience.circuit import SharedCircuit
from services.runtime.storage.redis.client import Call, RedisClient, is_full
from services.runtime.storage.redis.reach import Reach
from services.runtime.telemetry.trace import SpanKind, current_trace, span

log = logging.getLogger("hutong.cache")

LEASE_MS = 60_000
"""A computation that takes longer is not stored."""
MOST_OWED = 10_000

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Entry).decode

_StoreItem = tuple[Lease, str, Entry]
_Found = tuple[Entry | None, dict[str, int], frozenset[str]]


class FullError(CacheDownError):
    """Redis answers, and has no room for what was to be written."""


class RedisCache:
    """Implements VerdictCache. `feeds` are the names of all feeds that are followed, `mesh` the one it is bound to at
    first, `timeout` seconds a command may take, `clock` the present, `circuit` that of all uses of this Redis."""

    def __init__(
        self,
        url: str,
        *,
        feeds: Sequence[str],
        clock: Callable[[], Instant],
        mesh: str = "",
        timeout: float = 0.05,
        circuit: SharedCircuit | None = None,
    ) -> None:
        self._client = RedisClient(url, seconds=timeout, most=64)
        self._feeds = tuple(feeds)
        self._clock = clock
        self._reach = Reach(circuit)
        self._prefix = scripts.prefix(mesh) if mesh else ""
        self._scripts = {
            name: self._client.script(getattr(scripts, name))
            for name in ("READ", "LEASE", "STORE", "FORGET", "EMPTY", "BEGIN", "APPLY", "LEAD", "RESIGN")
        }
        self._changes = LaboratoryChanges()
        self._changes_told = b""
        self._owed: dict[bytes, object] = {}
        self._reads: Batches[Key, _Found] = Batches(self._read)
        self._leases: Batches[bytes, Lease | None] = Batches(self._lease)
        self._stores: Batches[_StoreItem, bool] = Batches(self._store)

    def bind(self, mesh: str) -> None:
        """See VerdictCache."""
        self._prefix = scripts.prefix(mesh)

    async def _guarded(self, operation: Callable[[], Awaitable[Any]]) -> Any:
        if self._reach.open or not self._prefix:
            raise CacheDownError
        begun = time.monotonic()
        try:
            answer = await operation()
        except (RedisError, OSError, TimeoutError) as error:
            if is_full(error):
                # What it has is served, and kept true, for that takes no room; it stores nothing more.
                raise FullError from None
            if not self._reach.open:
                log.warning("cache down", extra={"error": type(error).__name__})
            self._reach.failed(error, begun)
            raise CacheDownError from None
        self._reach.succeeded()
        return answer

    async def _run(
        self, name: str, args: Sequence[bytes | str | int], keys: Sequence[str] = (scripts.STATE, scripts.PEOPLE)
    ) -> Any:
        if self._owed and name != "FORGET":
            await self._pay()
        call = Call([self._prefix + key for key in keys], args)
        return await self._guarded(lambda: self._client.run(self._scripts[name], call))

    async def _pay(self) -> None:
        """Forgets whom it could not while Redis was down, before anything is read again."""
        owed = dict(self._owed)
        if len(owed) > MOST_OWED:
            call = Call([self._prefix + scripts.STATE], [token_hex(8), scripts.STATE_MS])
            await self._guarded(lambda: self._client.run(self._scripts["EMPTY"], call))
        else:
            await self._run("FORGET", [person.hex() for person in owed])
        for person, debt in owed.items():
            # A debt taken on meanwhile is another one.
            if self._owed.get(person) is debt:
                del self._owed[person]

    def peek(self, key: Key) -> Peeked | None:
        """See VerdictCache. What Redis holds is never known at once."""
        return None

    async def read(self, keys: Sequence[Key]) -> Reading:
        """See VerdictCache."""
        found = await _together(self._reads, self._read, "READ", keys)
        if not found:
            return Reading([], {})
        _, news, followed = found[0]
        return Reading([entry for entry, _, _ in found], news, followed)

    async def _read(self, keys: Sequence[Key]) -> Sequence[_Found]:
        args: list[bytes | str | int] = [len(self._feeds), *self._feeds]
        for person, slot in keys:
            args += (person.hex(), slot)
        found = await self._run("READ", args)
        if not found:
            return [(None, {}, frozenset())] * len(keys)
        known = 4 + len(self._feeds)
        followed = _followed(found[2])
        news = {feed: int(at) for feed, at in zip(self._feeds, found[4:known], strict=True) if at is not None}
        count = int(found[1] or 0)
        answers: list[_Found] = []
        for raw in found[known:]:
            entry = _entry(raw)
            if entry is not None and entry.standing != count:
                # Not by the count: a Redis that was emptied, or went back, comes to the same one with other changes.
                if self._changes_told != found[3]:
                    await self._read_changes()
                if not entry.stands(self._changes.latest):
                    entry = None
            answers.append((entry, news, followed))
        return answers

    async def _read_changes(self) -> None:
        # HGETALL of the one hash is a consistent picture, so that count and changes belong together.
        key = self._prefix + scripts.STATE
        state = await self._guarded(lambda: self._client.ask(lambda driver: driver.hgetall(key)))
        latest = {key[2:].decode(): int(value) for key, value in state.items() if key.startswith(b"l:")}
        self._changes = LaboratoryChanges(int(state.get(b"n", 0)), latest)
        self._changes_told = state.get(b"v", b"")

    async def lease(self, persons: Sequence[bytes]) -> Sequence[Lease | None]:
        """See VerdictCache."""
        return await _together(self._leases, self._lease, "LEASE", persons)

    async def _lease(self, persons: Sequence[bytes]) -> Sequence[Lease | None]:
        try:
            found = await self._run("LEASE", [token_hex(8), LEASE_MS, *(person.hex() for person in persons)])
        except FullError:
            found = None
        if not found:
            return [None] * len(persons)
        generation, count, followed = found[0].decode(), int(found[1] or 0), _followed(found[2])
        return [
            Lease(person, generation, token.decode(), count, followed)
            for person, token in zip(persons, found[3:], strict=True)
        ]

    async def store(self, items: Sequence[tuple[Lease, str, Entry]]) -> Sequence[bool]:
        """See VerdictCache."""
        return await _together(self._stores, self._store, "STORE", items)

    async def _store(self, items: Sequence[_StoreItem]) -> Sequence[bool]:
        now = self._clock()
        args: list[bytes | str | int] = []
        for lease, slot, entry in items:
            left = max(1, (max(entry.fresh_until, entry.valid_until) - now) // 1000)
            args += (lease.generation, lease.person.hex(), lease.token, slot, _encode(entry), left)
        try:
            return [bool(stored) for stored in await self._run("STORE", args)]
        except FullError:
            return [False] * len(items)

    async def forget(self, person: bytes) -> None:
        """See VerdictCache. While Redis is down the person is remembered, and forgotten there before the next read."""
        debt = self._owed[person] = object()
        await self._run("FORGET", [person.hex()])
        if self._owed.get(person) is debt:
            del self._owed[person]

    async def lead(self, owner: str, seconds: float) -> bool:
        """See VerdictCache."""
        return bool(await self._run("LEAD", [owner, int(seconds * 1000)], [scripts.UPDATER]))

    async def resign(self, owner: str) -> None:
        """See VerdictCache."""
        await self._run("RESIGN", [owner], [scripts.UPDATER])

    async def cursor(self, feed: str) -> str | None:
        """See VerdictCache."""
        key, fields = self._prefix + scripts.STATE, ["g", f"c:{feed}"]
        found = await self._guarded(lambda: self._client.ask(lambda driver: driver.hmget(key, fields)))
        return None if None in found else found[1].decode()

    async def begin(self, feed: str, news: News) -> None:
        """See VerdictCache."""
        await self._run("BEGIN", [token_hex(8), feed, news.cursor, *_told(news)])

    async def apply(self, feed: str, cursor: str, news: News) -> bool:
        """See VerdictCache."""
        persons = [person.hex() for person in news.persons]
        args = [feed, cursor, news.cursor, *_told(news), token_hex(8), len(persons), *persons, *news.laboratories]
        return bool(await self._run("APPLY", args))

    async def usage(self) -> Usage:
        """See VerdictCache."""
        key = self._prefix + scripts.STATE
        memory = await self._guarded(lambda: self._client.info("memory", key))
        stats = await self._guarded(lambda: self._client.info("stats", key))
        return Usage(int(memory["used_memory"]), int(stats["evicted_keys"]))

    async def ping(self) -> None:
        """See VerdictCache."""
        key = self._prefix + scripts.STATE
        await self._guarded(lambda: self._client.ask(lambda driver: driver.exists(key)))

    async def close(self) -> None:
        """See VerdictCache."""
        await self._client.close()


def _told(news: News) -> tuple[str | int, str, int]:
    followed = "-" if news.followed is None else " ".join(sorted(news.followed))
    return "" if news.as_of is None else news.as_of, followed, scripts.STATE_MS


@lru_cache(16)
def _followed(raw: bytes | None) -> frozenset[str]:
    return frozenset((raw or b"").decode().split())


def _entry(raw: bytes | None) -> Entry | None:
    if raw is None:
        return None
    try:
        return _decode(raw)
    except msgspec.DecodeError:
        return None


async def _together(gather: Batches[Any, Any], send: Any, name: str, items: Sequence[Any]) -> Sequence[Any]:
    """Sends with the neighbours of this moment, but in a sampled trace alone, so that the trace has its own command."""
    trace = current_trace()
    if trace is None or not trace.sampled:
        return await gather.ask(items)
    with span("gateway", f"redis {name}", SpanKind.CLIENT, attributes={"db.system": "redis", "db.batch": len(items)}):
        answers: Sequence[Any] = await send(items)
        return answers
