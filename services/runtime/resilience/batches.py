"""The questions of several callers to one other in one moment leave as one batch."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Batches(Generic[Item, Answer]):
    """Sends the items of one tick of the loop together.

    While `in_flight` batches are under way, items wait and leave together, so that batches grow with load; a batch has
    no more than `most` items, but one caller's stay together. `send` returns the answers in order; what it raises
    reaches all its callers. `idle` is told when nothing waits and nothing is under way.
    """

    def __init__(
        self,
        send: Callable[[Sequence[Item]], Awaitable[Sequence[Answer]]],
        *,
        most: int = 500,
        in_flight: int = 2,
        idle: Callable[[], object] = lambda: None,
    ) -> None:
        self._send = send
        self._most = most
        self._in_flight = in_flight
        self._idle = idle
        self._waiting: deque[tuple[Sequence[Item], asyncio.Future[Sequence[Answer]]]] = deque()
        self._under_way: set[asyncio.Task[None]] = set()
        self._scheduled = False

    async def ask(self, items: Sequence[Item]) -> Sequence[Answer]:
        """Returns the answers to these items, in order."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Sequence[Answer]] = loop.create_future()
        self._waiting.append((items, future))
        if not self._scheduled and len(self._under_way) < self._in_flight:
            self._scheduled = True
            loop.call_soon(self._leave)
        return await future

    def _leave(self) -> None:
        self._scheduled = False
        while self._waiting and len(self._under_way) < self._in_flight:
            batch: list[tuple[Sequence[Item], asyncio.Future[Sequence[Answer]]]] = []
            size = 0
            while self._waiting and (not batch or size + len(self._waiting[0][0]) <= self._most):
                items, future = self._waiting.popleft()
                # Who no longer waits is not asked for.
                if not future.done():
                    batch.append((items, future))
                    size += len(items)
            if batch:
                task = asyncio.get_running_loop().create_task(self._carry(batch))
                self._under_way.add(task)
                task.add_done_callback(self._arrived)
        if not self._waiting and not self._under_way:
            self._idle()

    def _arrived(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._leave()

    async def _carry(self, batch: list[tuple[Sequence[Item], asyncio.Future[Sequence[Answer]]]]) -> None:
        try:
            answers = await self._send([item for items, _ in batch for item in items])
            if len(answers) != sum(len(items) for items, _ in batch):
                raise ValueError(f"{len(answers)} answers to another number of items")
            at = 0
            for items, future in batch:
                if not future.done():
                    future.set_result(answers[at : at + len(items)])
                at += len(items)
        except BaseException as error:
            for _, future in batch:
                if not future.done():
                    future.set_exception(error if isinstance(error, Exception) else asyncio.CancelledError())
            if not isinstance(error, Exception):
                raise
