"""A load over HTTP at a stated rate: requests are due at instants, whether or not the ones before were answered, and a
latency counts from when a request was due."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from time import perf_counter

from bench.keepalive import Keepalive


async def send_paced(
    address: str, path: str, bodies: Sequence[bytes], rate: float, connections: int
) -> Sequence[float]:
    """Posts each body once, `rate` a second, over so many connections; returns the seconds that each took, in order.
    Raises RuntimeError for any status but 200."""
    seconds = [0.0] * len(bodies)
    places = iter(range(len(bodies)))
    async with AsyncExitStack() as stack:
        opened = [await stack.enter_async_context(Keepalive(address)) for _ in range(connections)]
        begun = perf_counter()

        async def work(connection: Keepalive) -> None:
            for place in places:
                due = begun + place / rate
                await asyncio.sleep(max(0.0, due - perf_counter()))
                await connection.post(path, bodies[place])
                seconds[place] = perf_counter() - due

        async with asyncio.TaskGroup() as group:
            for connection in opened:
                group.create_task(work(connection))
    return seconds
