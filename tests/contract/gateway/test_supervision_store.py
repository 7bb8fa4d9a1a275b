"""A store of supervision keeps its promises, in each engine."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.supervision.outcomes import Measure
from gateway.supervision.store.opening import open_store
from gateway.supervision.store.protocol import SupervisionStore
from gateway.supervision.store.values import Cell, KeptRefusal, Mark, Place
from services.common.errors import ServiceError
from services.common.instants import Instant
from services.runtime.settings.environment import SettingsError

MESH = b"mesh 001"
TODAY = 20_000
START, END = Place(0, "", -1), (Instant(2**62), b"")


def mark(
    name: str, region: str = "110000", scene: int = 0, day: int = TODAY, measure: int = Measure.RECOGNISED
) -> Mark:
    """Returns something to count."""
    return Mark(name.encode().ljust(16, b"."), day + 1, day, region, scene, measure)


def refusal(number: int, region: str = "110000", day: int = TODAY) -> KeptRefusal:
    """Returns a refusal; the greater the number, the later."""
    at = Instant(1_700_000_000_000_000 + number)
    person, policy = b"p" * 16, b"h" * 32
    return KeptRefusal(
        number.to_bytes(16), day, person, region, 5, 2, 2, 2, at, at, at, "P1", policy, at, "NO_EVIDENCE", "nation"
    )


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[SupervisionStore]:
    """An empty store."""
    opened = open_store(store_url, MESH, migrates=True)
    assert opened is not None
    yield opened
    await opened.close()


async def cells(store: SupervisionStore, region: str = "", first: int = 0, last: int = TODAY) -> list[Cell]:
    """Returns all figures of some days."""
    return list(await store.figures(region, first, last, START, 1_000))


async def test_what_has_one_mark_is_counted_once(store: SupervisionStore) -> None:
    """Twice in one write, in two, and in two at once: a retry, another replica and a restart count nobody twice."""
    await store.add([mark("a"), mark("a"), mark("b")], [])
    await store.add([mark("a")], [])
    await asyncio.gather(*(store.add([mark("c"), mark("d"), mark("a")], []) for _ in range(4)))
    assert [Cell(TODAY, "110000", 0, Measure.RECOGNISED, 4)] == await cells(store)


async def test_figures_stand_by_day_region_scene_and_measure(store: SupervisionStore) -> None:
    """A page has all measures of a place, and the next goes on behind it."""
    marks = [
        mark(f"{day}/{region}/{scene}/{measure}", region, scene, day, measure)
        for day in (TODAY - 1, TODAY)
        for region in ("110000", "310000")
        for scene in (0, 5)
        for measure in (Measure.RECOGNISED, Measure.REFUSED)
    ]
    await store.add(marks, [])
    everything = await cells(store)
    assert sorted(everything) == everything
    assert 16 == len(everything)
    assert {"310000"} == {cell.region for cell in await cells(store, "310000")}
    assert {TODAY} == {cell.day for cell in await cells(store, first=TODAY)}
    paged: list[Cell] = []
    after = START
    while page := await store.figures("", 0, TODAY, after, 3):
        paged += page
        after = Place(page[-1].day, page[-1].region, page[-1].scene)
    assert everything == paged


async def test_a_refusal_is_kept_once_and_as_it_was_first(store: SupervisionStore) -> None:
    """Newest first, by pages, by region and by day; the same again changes nothing."""
    kept = [refusal(1), refusal(2, "310000"), refusal(3, day=TODAY - 1)]
    await store.add([], kept)
    await store.add([], [kept[0]._replace(first_shown_at=Instant(5))])
    assert kept[::-1] == list(await store.refusals("", 0, TODAY, END, 10))
    assert kept[0] == await store.refusal(kept[0].refusal_id)
    assert [kept[1]] == list(await store.refusals("310000", 0, TODAY, END, 10))
    assert [kept[2]] == list(await store.refusals("", 0, TODAY - 1, END, 10))
    newest = (await store.refusals("", 0, TODAY, END, 1))[0]
    before = newest.first_shown_at, newest.refusal_id
    assert kept[1::-1] == list(await store.refusals("", 0, TODAY, before, 10))
    assert await store.refusal(b"") is None


async def test_a_purge_takes_marks_and_refusals_and_leaves_figures(store: SupervisionStore) -> None:
    """What is counted names nobody, and stays."""
    await store.add([mark("old", day=TODAY - 9), mark("new")], [refusal(1, day=TODAY - 9), refusal(2)])
    counted = await cells(store)
    await store.purge(TODAY, TODAY - 5)
    assert counted == await cells(store)
    assert [refusal(2)] == list(await store.refusals("", 0, TODAY, END, 10))
    # A mark that is gone counts anew, one that is kept does not.
    await store.add([mark("old", day=TODAY - 9), mark("new")], [])
    assert [2, 1] == [cell.number for cell in await cells(store)]


async def test_person_keys_are_moved_a_page_at_a_time(store: SupervisionStore) -> None:
    """All of them, by id, once each; what is not to be moved stays, and nothing else of a refusal changes."""
    kept = [refusal(number)._replace(person_key=bytes([number % 2]) * 16) for number in range(1, 6)]
    await store.add([], kept)
    asked: set[bytes] = set()

    def new(key: bytes) -> bytes:
        asked.add(key)
        return b"\x07" * 16 if key[0] == 1 else key

    last, pages = b"", 0
    while last := await store.move_keys(last, 2, new):
        pages += 1
    assert (3, {b"\x00" * 16, b"\x01" * 16}) == (pages, asked)
    expected = [one._replace(person_key=new(one.person_key)) for one in kept]
    assert expected[::-1] == list(await store.refusals("", 0, TODAY, END, 10))


async def test_a_store_of_another_secret_is_refused(store: SupervisionStore, store_url: str) -> None:
    """Under it no refusal could be opened again."""
    await store.add([mark("a")], [])
    await store.close()
    with pytest.raises((SettingsError, ServiceError)):
        other = open_store(store_url, b"mesh 002", migrates=False)
        assert other is not None
        try:
            await other.figures("", 0, TODAY, START, 1)
        finally:
            await other.close()
