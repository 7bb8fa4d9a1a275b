"""Concurrent questions of calls travel together: what is asked in one moment leaves as one batch."""

from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Generic, TypeVar

from msgspec.structs import replace

from services.runtime.resilience.batches import Batches
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
    at its own. Callers take turns; see Batches.
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
        self._groups: dict[Group, Batches[tuple[Question, float], Answer]] = {}

    async def ask(self, group: Group, question: Question) -> Answer:
        """Returns the answer to one question. Raises whatever the batch raised."""
        call = current_call()
        if call.trace.sampled:
            return (await self._send(group, [question]))[0]
        batches = self._groups.get(group)
        if batches is None:
            batches = self._groups[group] = self._batches(group)
        return (await batches.ask([(question, call.deadline)], call.caller))[0]

    def _batches(self, group: Group) -> Batches[tuple[Question, float], Answer]:
        async def send(questions: Sequence[tuple[Question, float]]) -> Sequence[Answer]:
            # The batch has a task, and so a context, of its own.
            enter(replace(current_call(), deadline=max(deadline for _, deadline in questions)))
            return await self._send(group, [question for question, _ in questions])

        # Groups come and go, such as instants of the past: one that is idle is forgotten.
        return Batches(
            send,
            most=self._most,
            in_flight=self._in_flight,
            abandons=True,
            idle=lambda: self._groups.pop(group, None),
        )
