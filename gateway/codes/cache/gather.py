"""What several callers ask of one connection in one moment leaves as one pipeline."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Gather(Generic[Item, Answer]):
    """Sends the items of one tick of the loop together. While `in_flight` sendings are under way, items wait and leave
    together, so that sendings grow with load. `send` returns the answers in order; what it raises reaches all its
    callers. Unlike `services.runtime.resilience.coalescer`, it knows no deadlines: the connection's own are much
    shorter."""

    def __init__(
        self, send: Callable[[Sequence[Item]], Awaitable[Sequence[Answer]]], *, most: int = 500, in_flight: int = 2
    ) -> None:
        self._send = send
        self._most = most
        self._in_flight = in_flight
        self._flying: set[asyncio.Task[None]] = set()
        self._waiting: list[tuple[Sequence[Item], asyncio.Future[Sequence[Answer]]]] = []
        self._scheduled = False

    async def ask(self, items: Sequence[Item]) -> Sequence[Answer]:
        """The answers to these items, in order."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Sequence[Answer]] = loop.create_future()
        self._waiting.append((items, future))
        if not self._scheduled and len(self._flying) < self._in_flight:
            self._scheduled = True
            loop.call_soon(self._flush)
        return await future

    def _flush(self) -> None:
        self._scheduled = False
        while self._waiting and len(self._flying) < self._in_flight:
            batch: list[tuple[Sequence[Item], asyncio.Future[Sequence[Answer]]]] = []
            size = 0
            taken = 0
            for items, future in self._waiting:
                if batch and size + len(items) > self._most:
                    break
                taken += 1
                if not future.done():
                    batch.append((items, future))
                    size += len(items)
            del self._waiting[:taken]
            if batch:
                task = asyncio.get_running_loop().create_task(self._fly(batch))
                self._flying.add(task)
                task.add_done_callback(self._landed)

    def _landed(self, task: asyncio.Task[None]) -> None:
        self._flying.discard(task)
        if self._waiting:
            self._flush()

    async def _fly(self, batch: list[tuple[Sequence[Item], asyncio.Future[Sequence[Answer]]]]) -> None:
        try:
            answers = await self._send([item for items, _ in batch for item in items])
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
