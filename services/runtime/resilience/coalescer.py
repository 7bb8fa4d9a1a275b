"""Concurrent questions of calls travel together: what is asked in one moment leaves as one batch."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterator, Sequence
from typing import Generic, NamedTuple, TypeVar

from msgspec.structs import replace

from services.runtime.resilience.batches import Batches
from services.runtime.rpc.call import current_call, enter
from services.runtime.rpc.peers import MOST_USERS

Group = TypeVar("Group", bound=Hashable)
Question = TypeVar("Question")
Answer = TypeVar("Answer")


class _Asked(NamedTuple, Generic[Question]):
    question: Question
    deadline: float
    users: tuple[str, ...]


def _parts(questions: Sequence[_Asked[Question]]) -> Iterator[Sequence[_Asked[Question]]]:
    """Yields the questions in parts that are asked on behalf of as many users as metadata can name, or fewer."""
    part: list[_Asked[Question]] = []
    users: set[str] = set()
    for one in questions:
        if part and len(users.union(one.users)) > MOST_USERS:
            yield part
            part, users = [], set()
        part.append(one)
        users.update(one.users)
    yield part


class Coalescer(Generic[Group, Question, Answer]):
    """Gathers questions of one group (such as one purpose) into batches.

    A batch leaves at the end of the loop's present tick; while `in_flight` batches of the group are under way, further
    questions wait and leave together, so batches grow with load. A question of a sampled trace travels alone, so that
    its trace is whole. `send` gets the group and the questions and returns the answers in order; what it raises reaches
    every question of its batch. A batch runs under the latest deadline of its questions, on behalf of all their users,
    and each question still ends at its own. Callers take turns; see Batches.
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
        self._groups: dict[Group, Batches[_Asked[Question], Answer]] = {}

    async def ask(self, group: Group, question: Question) -> Answer:
        """Returns the answer to one question. Raises whatever the batch raised."""
        call = current_call()
        if call.trace.sampled:
            return (await self._send(group, [question]))[0]
        batches = self._groups.get(group)
        if batches is None:
            batches = self._groups[group] = self._batches(group)
        return (await batches.ask([_Asked(question, call.deadline, call.users)], call.caller))[0]

    async def _carry(self, group: Group, questions: Sequence[_Asked[Question]]) -> Sequence[Answer]:
        # The batch has a task, and so a context, of its own.
        users = tuple({user: None for one in questions for user in one.users})
        enter(replace(current_call(), deadline=max(one.deadline for one in questions), users=users))
        return await self._send(group, [one.question for one in questions])

    def _batches(self, group: Group) -> Batches[_Asked[Question], Answer]:
        async def send(questions: Sequence[_Asked[Question]]) -> Sequence[Answer]:
            parts = list(_parts(questions))
            if len(parts) == 1:
                return await self._carry(group, parts[0])
            answers = await asyncio.gather(*(self._carry(group, part) for part in parts))
            return [answer for part in answers for answer in part]

        # Groups come and go, such as instants of the past: one that is idle is forgotten.
        return Batches(
            send,
            most=self._most,
            in_flight=self._in_flight,
            abandons=True,
            idle=lambda: self._groups.pop(group, None),
        )
