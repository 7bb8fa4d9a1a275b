"""Callers take turns: one that asks for much waits behind itself."""

import asyncio
from collections.abc import Sequence

import pytest

from services.common.errors import Code, ServiceError
from services.runtime.resilience.batches import Batches


async def test_callers_take_turns() -> None:
    """Whoever asks for little is in the next batch, however much another has asked for before."""
    sent: list[list[str]] = []

    async def send(items: Sequence[str]) -> Sequence[str]:
        sent.append(list(items))
        await asyncio.sleep(0.01)
        return items

    batches: Batches[str, str] = Batches(send, most=4, in_flight=1)
    much = [asyncio.ensure_future(batches.ask([f"much-{n}"], "much")) for n in range(20)]
    await asyncio.sleep(0)
    little = [asyncio.ensure_future(batches.ask([f"{name}-{n}"], name)) for name in ("a", "b") for n in range(2)]
    await asyncio.gather(*much, *little)
    assert {"a-0", "b-0", "a-1", "b-1"} <= {item for batch in sent[:3] for item in batch}
    own = [item for batch in sent for item in batch if item.startswith("much")]
    assert [f"much-{n}" for n in range(20)] == own


async def test_one_callers_share_of_a_queue_is_bounded() -> None:
    """More is refused at once; another caller's question is taken."""
    release = asyncio.Event()

    async def send(items: Sequence[int]) -> Sequence[int]:
        await release.wait()
        return items

    batches: Batches[int, int] = Batches(send, most=1, in_flight=1, most_waiting=5)
    waiting = [asyncio.ensure_future(batches.ask([n], "much")) for n in range(7)]
    await asyncio.sleep(0)
    other = asyncio.ensure_future(batches.ask([99], "other"))
    await asyncio.sleep(0)
    refused = [task for task in waiting if task.done()]
    assert 2 == len(refused)
    for task in refused:
        with pytest.raises(ServiceError) as caught:
            task.result()
        assert (Code.RESOURCE_EXHAUSTED, "TOO_MANY_WAITING") == (caught.value.code, caught.value.reason)
    release.set()
    assert [99] == list(await other)
    assert 5 == len(await asyncio.gather(*(task for task in waiting if task not in refused)))


async def test_who_has_no_name_is_not_bounded() -> None:
    """What a process asks for itself waits as long as there is."""

    async def send(items: Sequence[int]) -> Sequence[int]:
        await asyncio.sleep(0)
        return items

    batches: Batches[int, int] = Batches(send, most=2, in_flight=1, most_waiting=1)
    assert [[n] for n in range(20)] == [
        list(one) for one in await asyncio.gather(*(batches.ask([n]) for n in range(20)))
    ]
