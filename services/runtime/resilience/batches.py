"""The questions of several callers to one other in one moment leave as one batch."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from services.common.errors import Code, ServiceError, Text

Item = TypeVar("Item")
Answer = TypeVar("Answer")

_Asked = tuple[Sequence[Item], asyncio.Future[Sequence[Answer]]]

MOST_WAITING = 10_000
"""How many items of one caller wait by default: several seconds' worth."""


class _Turns(Generic[Item, Answer]):
    """The questions that wait, by caller; each caller in turn gives the oldest of its own."""

    def __init__(self) -> None:
        # In the order of turns.
        self._queues: dict[str, deque[_Asked[Item, Answer]]] = {}
        self._counts: dict[str, int] = {}

    def __bool__(self) -> bool:
        return bool(self._queues)

    def count(self, caller: str) -> int:
        """Returns how many items of a caller wait."""
        return self._counts.get(caller, 0)

    def add(self, caller: str, asked: _Asked[Item, Answer]) -> None:
        """Adds to the end of a caller's queue."""
        self._queues.setdefault(caller, deque()).append(asked)
        self._counts[caller] = self.count(caller) + len(asked[0])

    def next_size(self) -> int:
        """Returns how many items `take` would give."""
        return len(next(iter(self._queues.values()))[0][0])

    def take(self) -> _Asked[Item, Answer]:
        """Takes the oldest of the caller whose turn it is."""
        caller = next(iter(self._queues))
        queue = self._queues.pop(caller)
        asked = queue.popleft()
        self._counts[caller] -= len(asked[0])
        if queue:
            self._queues[caller] = queue
        else:
            del self._counts[caller]
        return asked


class Batches(Generic[Item, Answer]):
    """Sends the items of one tick of the loop together.

    While `in_flight` batches are under way, items wait and leave together, so that batches grow with load; a batch has
    no more than `most` items, but those asked together stay together. Callers take turns: one that asks for much waits
    behind itself, not before the others, and one that has a name may have `most_waiting` items waiting. `send` returns
    the answers in order; what it raises reaches all its callers; with `abandons`, it is cancelled when none of them
    waits any longer. `idle` is told when nothing waits and nothing is under way.
    """

    def __init__(
        self,
        send: Callable[[Sequence[Item]], Awaitable[Sequence[Answer]]],
        *,
        most: int = 500,
        in_flight: int = 2,
        most_waiting: int = MOST_WAITING,
        abandons: bool = False,
        idle: Callable[[], object] = lambda: None,
    ) -> None:
        self._abandons = abandons
        self._send = send
        self._most = most
        self._in_flight = in_flight
        self._idle = idle
        self._most_waiting = most_waiting
        self._waiting = _Turns[Item, Answer]()
        self._under_way: dict[asyncio.Task[None], Sequence[asyncio.Future[Sequence[Answer]]]] = {}
        self._scheduled = False

    async def ask(self, items: Sequence[Item], caller: str = "") -> Sequence[Answer]:
        """Returns the answers to these items, in order. Raises ServiceError (RESOURCE_EXHAUSTED, TOO_MANY_WAITING) when
        the caller, if it has a name, has too many waiting already."""
        waiting = self._waiting.count(caller)
        if caller and waiting and waiting + len(items) > self._most_waiting:
            raise ServiceError(
                Code.RESOURCE_EXHAUSTED,
                "TOO_MANY_WAITING",
                Text("等待应答的问题过多，请稍后再试", "Too many questions of this caller wait; try again later"),
            )
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Sequence[Answer]] = loop.create_future()
        self._waiting.add(caller, (items, future))
        if not self._scheduled and len(self._under_way) < self._in_flight:
            self._scheduled = True
            loop.call_soon(self._leave)
        try:
            return await future
        except asyncio.CancelledError:
            if self._abandons:
                self._abandon()
            raise

    def _abandon(self) -> None:
        """Ends the work for callers who have all gone, such as at their deadline: nobody would hear the answers."""
        for task, futures in list(self._under_way.items()):
            if all(future.done() for future in futures):
                task.cancel()

    def _leave(self) -> None:
        self._scheduled = False
        while self._waiting and len(self._under_way) < self._in_flight:
            batch: list[_Asked[Item, Answer]] = []
            size = 0
            while self._waiting and (not batch or size + self._waiting.next_size() <= self._most):
                items, future = self._waiting.take()
                # Who no longer waits is not asked for.
                if not future.done():
                    batch.append((items, future))
                    size += len(items)
            if batch:
                task = asyncio.get_running_loop().create_task(self._carry(batch))
                self._under_way[task] = [future for _, future in batch]
                task.add_done_callback(self._arrived)
        if not self._waiting and not self._under_way:
            self._idle()

    def _arrived(self, task: asyncio.Task[None]) -> None:
        self._under_way.pop(task, None)
        self._leave()

    async def _carry(self, batch: Sequence[_Asked[Item, Answer]]) -> None:
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
