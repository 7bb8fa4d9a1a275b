"""Concurrent questions travel together: what is asked in one moment leaves as one batch."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from contextvars import copy_context
from typing import Generic, TypeVar

from msgspec.structs import replace

from services.runtime.rpc.call import current_call, enter

Group = TypeVar("Group", bound=Hashable)
Question = TypeVar("Question")
Answer = TypeVar("Answer")


class Coalescer(Generic[Group, Question, Answer]):
    """Gathers questions of one group (such as one purpose) into batches.

    A batch leaves at the end of the loop's present tick; while `in_flight` batches of the group are under way, further
    questions wait and leave together, so batches grow with load. A question of a sampled trace travels alone, so that
    its trace is whole. `send` gets the group and the questions and returns the answers in order; what it raises reaches
    every question of its batch. A batch runs under the latest deadline of its questions, and each question still ends
    at its own.
    """

    def __init__(
        self,
        send: Callable[[Group, Sequence[Question]], Awaitable[Sequence[Answer]]],
        *,
        most: int = 1000,
        in_flight: int = 4,
    ) -> None:
        self._send = send
        self._most = most
        self._in_flight = in_flight
        self._waiting: dict[Group, deque[tuple[Question, asyncio.Future[Answer], float]]] = {}
        self._flying: dict[Group, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def ask(self, group: Group, question: Question) -> Answer:
        """The answer to one question. Raises whatever the batch raised."""
        call = current_call()
        if call.trace.sampled:
            return (await self._send(group, [question]))[0]
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        queue = self._waiting.get(group)
        if queue is None:
            queue = self._waiting[group] = deque()
            loop.call_soon(self._flush, group)
        queue.append((question, future, call.deadline))
        return await future

    def _flush(self, group: Group) -> None:
        queue = self._waiting.get(group)
        while queue and self._flying.get(group, 0) < self._in_flight:
            batch = [queue.popleft() for _ in range(min(self._most, len(queue)))]
            batch = [item for item in batch if not item[1].done()]
            if not batch:
                continue
            self._flying[group] = self._flying.get(group, 0) + 1
            task = asyncio.get_running_loop().create_task(self._fly(group, batch), context=copy_context())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if not queue:
            self._waiting.pop(group, None)

    async def _fly(self, group: Group, batch: list[tuple[Question, asyncio.Future[Answer], float]]) -> None:
        enter(replace(current_call(), deadline=max(item[2] for item in batch)))
        try:
            answers = await self._send(group, [item[0] for item in batch])
            for (_, future, _), answer in zip(batch, answers, strict=True):
                if not future.done():
                    future.set_result(answer)
        except BaseException as error:
            for _, future, _ in batch:
                if not future.done():
                    future.set_exception(error if isinstance(error, Exception) else asyncio.CancelledError())
            if not isinstance(error, Exception):
                raise
        finally:
            self._flying[group] -= 1
            if not self._flying[group]:
                del self._flying[group]
            if group in self._waiting:
                self._flush(group)
