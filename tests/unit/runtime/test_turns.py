"""Heavy work goes in slices, callers in turn, and light work keeps its share."""

import asyncio
from collections.abc import Callable

import pytest

from services.common.errors import Code, ServiceError
from services.runtime.resilience.turns import Turns


async def test_whoever_has_little_is_served_after_one_slice_of_each_other() -> None:
    """However many slices two callers have queued, a third one's is among the next three."""
    turns = Turns()
    order: list[str] = []

    async def work(caller: str) -> None:
        async with turns.heavy(caller):
            order.append(caller)
            await asyncio.sleep(0)

    much = [asyncio.ensure_future(work(caller)) for caller in ("much", "more") for _ in range(50)]
    while not order:
        await asyncio.sleep(0)
    before = len(order)
    await work("little")
    assert order.index("little") - before <= 3
    await asyncio.gather(*much)
    assert (50, 50) == (order.count("much"), order.count("more"))


async def test_so_many_at_once_and_no_more() -> None:
    """Also when some leave while they wait, or in the moment in which their turn comes."""
    turns = Turns(at_once=2)
    now = most = 0

    async def work() -> None:
        nonlocal now, most
        async with turns.heavy("one"):
            now += 1
            most = max(most, now)
            try:
                await asyncio.sleep(0)
            finally:
                now -= 1

    for steps in range(8):
        tasks = [asyncio.ensure_future(work()) for _ in range(10)]
        for _ in range(steps):
            await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert 2 == most
    async with turns.heavy("one"), turns.heavy("other"):
        pass


async def test_too_many_of_one_caller_are_refused_and_of_another_not() -> None:
    """At once, and what waits goes on."""
    turns = Turns(most_waiting=3)
    release = asyncio.Event()

    async def work(caller: str) -> None:
        async with turns.heavy(caller):
            await release.wait()

    waiting = [asyncio.ensure_future(work("much")) for _ in range(6)]
    other = asyncio.ensure_future(work("other"))
    for _ in range(3):
        await asyncio.sleep(0)
    refused = [task for task in waiting if task.done()]
    assert 2 == len(refused)
    for task in refused:
        with pytest.raises(ServiceError) as caught:
            task.result()
        assert (Code.RESOURCE_EXHAUSTED, "TOO_MANY_WAITING") == (caught.value.code, caught.value.reason)
    release.set()
    await other
    assert 4 == sum(not isinstance(one, Exception) for one in await asyncio.gather(*waiting, return_exceptions=True))


async def test_a_slice_beside_light_work_is_followed_by_a_pause_as_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """And one without is not."""
    turns = Turns()
    loop = asyncio.get_running_loop()
    pauses: list[float] = []

    def call_later(seconds: float, call: Callable[[], None]) -> None:
        pauses.append(seconds)
        loop.call_soon(call)

    monkeypatch.setattr(loop, "call_later", call_later)
    async with turns.heavy("one"):
        pass
    assert [] == pauses
    async with turns.heavy("one"):
        with turns.light():
            pass
    assert 1 == len(pauses)
    with turns.light():
        async with turns.heavy("one"):
            pass
    assert 2 == len(pauses)
    async with turns.heavy("one"):
        pass
    assert 2 == len(pauses)


async def test_slices_that_wait_for_nothing_let_others_come_in_between() -> None:
    """As where all services are one process."""
    turns = Turns()
    done = 0

    async def work() -> None:
        nonlocal done
        for _ in range(100):
            async with turns.heavy("one"):
                done += 1

    task = asyncio.create_task(work())
    for seen in range(20):
        await asyncio.sleep(0)
        assert done <= seen + 1
    await task
