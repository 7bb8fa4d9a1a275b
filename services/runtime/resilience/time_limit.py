"""A limit on how long something is waited for."""

import asyncio
import time
from collections.abc import Awaitable, Generator
from functools import partial
from types import coroutine
from typing import Any, TypeVar

Answer = TypeVar("Answer")


async def answer_by(end: float, awaitable: Awaitable[Answer]) -> Answer:
    """Returns what an awaitable gives. Raises TimeoutError once `end`, of time.monotonic() in seconds, has passed.

    What ends without waiting for anything, as a cached answer does, costs no timer.
    """
    steps = awaitable.__await__()
    try:
        waiting = next(steps)
    except StopIteration as done:
        answer: Answer = done.value
        return answer
    async with asyncio.timeout(end - time.monotonic()):
        return await _rest(steps, waiting)


@coroutine
def _rest(steps: Generator[Any, Any, Answer], waiting: Any) -> Generator[Any, Any, Answer]:
    """Goes on with what has begun and waits: `yield from` for a generator that has yielded once."""
    while True:
        try:
            sent = yield waiting
        except GeneratorExit:
            steps.close()
            raise
        except BaseException as error:  # noqa: BLE001  # a cancellation is for what waits
            resume = partial(steps.throw, error)
        else:
            resume = partial(steps.send, sent)
        try:
            waiting = resume()
        except StopIteration as done:
            answer: Answer = done.value
            return answer
