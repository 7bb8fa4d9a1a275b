"""One suite, every cache: what is shown from a cache is what would be computed now, whatever happens in between."""

import asyncio

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.codes.cache.protocol import Lease, News, VerdictCache
from services.common.instants import SECOND, Instant
from services.runtime.clock import system_clock
from tests.testkit.builders.cache_entries import LAB, entry
from tests.testkit.servers.verdict_cache import OTHER, PERSON, SLOT, Open, begun, change, lease, shown


async def test_what_was_stored_under_a_lease_is_found(cache: VerdictCache) -> None:
    """An entry comes back as it went in, in its slot and no other."""
    kept = entry()
    assert await cache.store([(await lease(cache), SLOT, kept)]) == [True]
    assert list((await cache.read([(PERSON, SLOT), (PERSON, "1100001"), (OTHER, SLOT)])).entries) == [kept, None, None]


async def test_change_drops_entries_of_the_person_and_no_others(cache: VerdictCache) -> None:
    """A change is about one person."""
    for person in (PERSON, OTHER):
        await cache.store([(await lease(cache, person), SLOT, entry())])
    await change(cache, PERSON)
    assert [await shown(cache, PERSON), await shown(cache, OTHER)] == [None, 1]


async def test_verdict_from_before_a_change_is_not_stored_after_it(cache: VerdictCache) -> None:
    """The lease of a computation that a change overtook is gone."""
    taken = await lease(cache)
    await change(cache, PERSON)
    assert await cache.store([(taken, SLOT, entry())]) == [False]
    assert await shown(cache) is None


async def test_verdict_from_before_a_change_is_not_stored_under_a_later_lease(cache: VerdictCache) -> None:
    """A lease taken after the change does not help a computation begun before it."""
    before = await lease(cache)
    await change(cache, PERSON)
    after = await lease(cache)
    assert await cache.store([(before, SLOT, entry(1))]) == [False]
    assert await cache.store([(after, SLOT, entry(2))]) == [True]
    assert await shown(cache) == 2


async def test_leases_between_changes_are_one(cache: VerdictCache) -> None:
    """Two computations of one person, begun since the same change, may both be stored."""
    first, second = await lease(cache), await lease(cache)
    assert await cache.store([(first, SLOT, entry(1)), (second, "2100000", entry(2))]) == [True, True]
    assert [await shown(cache), await shown(cache, slot="2100000")] == [1, 2]


async def test_forgotten_person_is_gone_with_their_leases(cache: VerdictCache) -> None:
    """What the gateway itself changed is dropped at once, computations under way included."""
    taken = await lease(cache)
    await cache.store([(taken, SLOT, entry())])
    await cache.forget(PERSON)
    assert await shown(cache) is None
    assert await cache.store([(taken, SLOT, entry())]) == [False]


async def test_changed_laboratory_voids_only_what_rests_on_it(cache: VerdictCache) -> None:
    """A suspension drops the entries that rest on the laboratory, and leaves the rest where they are."""
    taken, other = await lease(cache), await lease(cache, OTHER)
    await cache.store([(taken, SLOT, entry()), (other, SLOT, entry(laboratories=("210000-other",)))])
    await change(cache, labs=(LAB,))
    assert [await shown(cache), await shown(cache, OTHER)] == [None, 1]


async def test_verdict_from_before_a_suspension_is_void_when_stored_after_it(cache: VerdictCache) -> None:
    """An entry says which changes of standing it knew of."""
    taken = await lease(cache)
    await change(cache, labs=(LAB,))
    await cache.store([(taken, SLOT, entry(standing=taken.standing))])
    assert await shown(cache) is None


async def test_verdict_from_after_a_suspension_stands(cache: VerdictCache) -> None:
    """A laboratory's change voids the past, not the future."""
    await change(cache, labs=(LAB,))
    taken = await lease(cache)
    await cache.store([(taken, SLOT, entry(standing=taken.standing))])
    assert await shown(cache) == 1
    await change(cache, labs=("210000-other",))
    assert await shown(cache) == 1


async def test_beginning_anew_empties_the_cache(cache: VerdictCache) -> None:
    """Where changes may have been missed, nothing kept and no lease survives."""
    taken = await lease(cache)
    await cache.store([(taken, SLOT, entry())])
    await cache.begin("nation", News(cursor="100", as_of=system_clock()))
    assert await shown(cache) is None
    assert await cache.store([(taken, SLOT, entry())]) == [False]
    assert await cache.cursor("holders") == "0"


async def test_news_are_told_by_feed(cache: VerdictCache) -> None:
    """A reader learns up to when each feed's changes have come in, and a batch that says nothing of it leaves it."""
    at = Instant(system_clock() - 3 * SECOND)
    await cache.begin("nation", News(cursor="5", as_of=at))
    assert (await cache.read([(PERSON, SLOT)])).news["nation"] == at
    assert await cache.apply("nation", "5", News(cursor="6", as_of=None))
    assert (await cache.read([(PERSON, SLOT)])).news["nation"] == at
    assert await cache.apply("nation", "6", News(cursor="6", as_of=Instant(at + SECOND)))
    assert (await cache.read([(PERSON, SLOT)])).news["nation"] == at + SECOND


async def test_feed_begun_without_news_has_none(cache: VerdictCache) -> None:
    """A follower that has not caught up says so."""
    await cache.begin("nation", News(cursor="5"))
    assert "nation" not in (await cache.read([(PERSON, SLOT)])).news


async def test_follower_that_lost_its_place_changes_nothing(cache: VerdictCache) -> None:
    """News apply after the cursor they were read from, all or nothing."""
    await cache.store([(await lease(cache), SLOT, entry())])
    assert await cache.apply("nation", "7", News("8", [PERSON], [LAB], system_clock())) is False
    assert [await shown(cache), await cache.cursor("nation")] == [1, "0"]


async def test_nothing_is_kept_before_a_feed_was_followed(open_cache: Open) -> None:
    """Without a feed there would be nobody to drop what is kept."""
    cache = open_cache()
    assert list(await cache.lease([PERSON])) == [None]
    assert await cache.cursor("nation") is None
    assert await shown(cache) is None
    await cache.close()


async def test_one_leads_at_a_time(cache: VerdictCache) -> None:
    """The first leads, the second stands by until the first has been silent for long enough."""
    assert [await cache.lead("a", 0.2), await cache.lead("b", 0.2), await cache.lead("a", 0.2)] == [True, False, True]
    async with asyncio.timeout(5):
        while not await cache.lead("b", 0.2):
            await asyncio.sleep(0.02)
    assert await cache.lead("a", 0.2) is False


async def test_who_leads_may_resign(cache: VerdictCache) -> None:
    """The next one need not wait; who does not lead has nothing to resign."""
    assert await cache.lead("a", 60)
    await cache.resign("b")
    assert await cache.lead("b", 60) is False
    await cache.resign("a")
    assert await cache.lead("b", 60)


async def test_questions_of_one_moment_are_answered_each(cache: VerdictCache) -> None:
    """Reads, leases and stores that travel together come back to who asked."""
    people = [b"%016d" % number for number in range(50)]
    leases = await asyncio.gather(*(lease(cache, person) for person in people))
    await asyncio.gather(*(cache.store([(taken, SLOT, entry(at))]) for at, taken in enumerate(leases)))
    assert await asyncio.gather(*(shown(cache, person) for person in people)) == list(range(50))


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("lease"), st.integers(0, 2)),
        st.tuples(st.just("gather evidence"), st.integers(0, 2)),
        st.tuples(st.just("store"), st.integers(0, 2)),
        st.tuples(st.sampled_from(["write", "tell", "forget", "suspend", "tell of suspension", "lose"]), st.just(0)),
    ),
    max_size=25,
)


async def _run(cache: VerdictCache, steps: list[tuple[str, int]]) -> None:
    """Three computations of one person, with changes in between in any order; after every step what the cache shows is
    no older than the last change it was told of."""
    truth = told = 0
    voided = suspended = 0
    leases: dict[int, Lease] = {}
    evidence: dict[int, tuple[int, int]] = {}
    for step, which in steps:
        if step == "lease":
            leases[which] = await lease(cache)
            evidence.pop(which, None)
        elif step == "gather evidence" and which in leases:
            evidence[which] = (truth, suspended)
        elif step == "store" and which in evidence:
            version, standing = evidence.pop(which)
            body = entry(version * 1000 + standing, standing=leases[which].standing)
            await cache.store([(leases.pop(which), SLOT, body)])
        elif step == "write":
            truth += 1
        elif step == "tell":
            await change(cache, PERSON)
            told = truth
        elif step == "forget":
            truth += 1
            await cache.forget(PERSON)
            told = truth
        elif step == "suspend":
            suspended += 1
        elif step == "tell of suspension":
            await change(cache, labs=(LAB,))
            voided = suspended
        elif step == "lose":
            await cache.begin("nation", News(cursor="0", as_of=system_clock()))
            told, voided = truth, suspended
        found = await shown(cache)
        if found is not None:
            assert found // 1000 >= told
            assert found % 1000 >= voided


@given(steps=STEPS)
@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_no_interleaving_shows_what_a_change_outdated(open_cache: Open, steps: list[tuple[str, int]]) -> None:
    """Whatever the order of leases, evidence, changes, news and stores, nothing older than the news is shown."""
    async with begun(open_cache) as cache:
        await _run(cache, steps)
