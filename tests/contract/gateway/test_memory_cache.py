"""The cache in memory is bounded."""

from gateway.codes.cache.memory import MemoryCache
from tests.testkit.builders.cache_entries import entry
from tests.testkit.servers.verdict_cache import SLOT, begun, lease, shown


async def test_memory_is_bounded_and_the_least_used_goes_first() -> None:
    """A full cache drops whom nobody asked for, lease and all."""
    async with begun(lambda: MemoryCache(6)) as cache:
        people = [b"%016d" % number for number in range(4)]
        taken = [await lease(cache, person) for person in people[:3]]
        await cache.store([(one, SLOT, entry()) for one in taken])
        assert await shown(cache, people[0]) == 1
        await cache.store([(await lease(cache, people[3]), SLOT, entry())])
        assert [await shown(cache, person) for person in people] == [1, None, 1, 1]
        assert await cache.store([(taken[1], SLOT, entry())]) == [False]


async def test_memory_holds_one_person_larger_than_itself() -> None:
    """A person with more regions than there is room for keeps the newest."""
    async with begun(lambda: MemoryCache(3)) as cache:
        taken = await lease(cache)
        await cache.store([(taken, f"{slot}", entry(slot)) for slot in range(5)])
        assert [await shown(cache, slot=f"{slot}") for slot in range(5)] == [None, None, None, 3, 4]
