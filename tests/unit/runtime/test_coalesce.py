"""Concurrent questions travel together."""

import asyncio
import time
from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from services.common.errors import ServiceError, Unavailable
from services.runtime.resilience.coalescer import Coalescer
from services.runtime.rpc.call import current_call, enter
from services.runtime.telemetry.trace import Trace


class Doubling:
    """Answers twice the question, once it may; keeps the batches it was asked."""

    def __init__(self) -> None:
        self.batches: list[tuple[str, list[int]]] = []
        self.deadlines: list[float] = []
        self.open = asyncio.Event()
        self.open.set()

    async def __call__(self, group: str, questions: Sequence[int]) -> list[int]:
        """Answers a batch."""
        self.batches.append((group, list(questions)))
        self.deadlines.append(current_call().deadline)
        await self.open.wait()
        return [2 * question for question in questions]


async def settle() -> None:
    """Lets everything that is ready run."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_the_questions_of_one_moment_are_one_batch():
    """Each gets its own answer."""
    send = Doubling()
    coalescer = Coalescer(send)
    answers = await asyncio.gather(*(coalescer.ask("show", number) for number in range(5)))
    assert [0, 2, 4, 6, 8] == answers
    assert [("show", [0, 1, 2, 3, 4])] == send.batches


async def test_groups_never_mix():
    """Two purposes are two batches."""
    send = Doubling()
    coalescer = Coalescer(send)
    await asyncio.gather(coalescer.ask("show", 1), coalescer.ask("venue", 2), coalescer.ask("show", 3))
    assert [("show", [1, 3]), ("venue", [2])] == sorted(send.batches)


async def test_batches_grow_while_enough_are_in_flight():
    """What comes meanwhile waits, and leaves together when one returns."""
    send = Doubling()
    send.open.clear()
    coalescer = Coalescer(send, in_flight=2)
    asks = []
    for number in range(6):
        asks.append(asyncio.ensure_future(coalescer.ask("show", number)))
        await settle()
    assert [("show", [0]), ("show", [1])] == send.batches
    send.open.set()
    assert [0, 2, 4, 6, 8, 10] == await asyncio.gather(*asks)
    assert [("show", [0]), ("show", [1]), ("show", [2, 3, 4, 5])] == send.batches


async def test_a_batch_has_at_most_so_many_questions():
    """The contract's limit holds, and nothing is left behind."""
    send = Doubling()
    coalescer = Coalescer(send, most=3, in_flight=1)
    assert [2 * number for number in range(8)] == await asyncio.gather(
        *(coalescer.ask("show", number) for number in range(8))
    )
    assert [3, 3, 2] == [len(batch) for _, batch in send.batches]


async def test_an_error_reaches_every_question_of_its_batch_and_no_other():
    """The next batch of the group is asked as if nothing had been."""
    calls = 0

    async def send(group: str, questions: Sequence[int]) -> list[int]:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise Unavailable("STORE_DOWN", "存储不可用", "The store is down")
        return list(questions)

    coalescer = Coalescer(send)
    outcomes = await asyncio.gather(*(coalescer.ask("show", number) for number in range(3)), return_exceptions=True)
    assert ["STORE_DOWN"] * 3 == [error.reason for error in outcomes if isinstance(error, ServiceError)]
    assert 7 == await coalescer.ask("show", 7)


async def test_answers_that_do_not_match_the_questions_are_an_error():
    """Nobody gets a neighbour's answer silently."""

    async def send(group: str, questions: Sequence[int]) -> list[int]:
        return [1]

    coalescer = Coalescer(send)
    outcomes = await asyncio.gather(coalescer.ask("show", 1), coalescer.ask("show", 2), return_exceptions=True)
    assert isinstance(outcomes[1], ValueError)


async def test_a_caller_that_leaves_takes_only_its_own_question():
    """Before the batch leaves the question is not asked; afterwards its neighbours are answered all the same."""
    send = Doubling()
    send.open.clear()
    coalescer = Coalescer(send, in_flight=1)
    flying = [asyncio.ensure_future(coalescer.ask("show", number)) for number in (0, 1)]
    await settle()
    waiting = [asyncio.ensure_future(coalescer.ask("show", number)) for number in (2, 3)]
    await settle()
    flying[0].cancel()
    waiting[0].cancel()
    await settle()
    send.open.set()
    assert (2, 6) == (await flying[1], await waiting[1])
    assert [("show", [0, 1]), ("show", [3])] == send.batches
    assert all(one.cancelled() for one in (flying[0], waiting[0]))


async def test_when_everyone_leaves_nothing_is_asked_and_nothing_sticks():
    """A group whose waiting questions were all abandoned works afterwards."""
    send = Doubling()
    send.open.clear()
    coalescer = Coalescer(send, in_flight=1)
    first = asyncio.ensure_future(coalescer.ask("show", 0))
    await settle()
    left = [asyncio.ensure_future(coalescer.ask("show", number)) for number in (1, 2)]
    await settle()
    for one in left:
        one.cancel()
    send.open.set()
    assert 0 == await first
    assert 10 == await coalescer.ask("show", 5)
    assert [("show", [0]), ("show", [5])] == send.batches


async def test_a_batch_runs_under_the_latest_deadline_and_a_question_ends_at_its_own():
    """One impatient caller does not cut short its neighbours, nor wait for them."""
    send = Doubling()
    send.open.clear()
    coalescer = Coalescer(send)
    now = time.monotonic()

    async def ask(number: int, seconds: float) -> int:
        enter(replace(current_call(), deadline=now + seconds))
        async with asyncio.timeout_at(asyncio.get_running_loop().time() + min(seconds, 0.05)):
            return await coalescer.ask("show", number)

    impatient, patient = asyncio.ensure_future(ask(1, 0.05)), asyncio.ensure_future(ask(2, 20))
    await settle()
    with pytest.raises(TimeoutError):
        await impatient
    with pytest.raises(TimeoutError):
        await patient
    assert [now + 20] == send.deadlines


async def test_a_sampled_question_travels_alone():
    """So that its trace is whole; the others still share."""
    send = Doubling()
    coalescer = Coalescer(send)

    async def sampled() -> int:
        enter(replace(current_call(), trace=Trace(1, 1, sampled=True)))
        return await coalescer.ask("show", 1)

    await asyncio.gather(sampled(), coalescer.ask("show", 2), coalescer.ask("show", 3))
    assert [("show", [1]), ("show", [2, 3])] == sorted(send.batches)


async def test_work_that_nobody_waits_for_any_longer_is_ended():
    """Callers whose deadline has passed would not hear the answer; one who still waits gets it."""
    send = Doubling()
    send.open.clear()
    coalescer = Coalescer(send, in_flight=2)
    abandoned = [asyncio.ensure_future(coalescer.ask("show", number)) for number in (0, 1)]
    await settle()
    heard = [asyncio.ensure_future(coalescer.ask("show", number)) for number in (2, 3)]
    await settle()
    for one in (*abandoned, heard[0]):
        one.cancel()
    await settle()
    assert 1 == len(coalescer._groups["show"]._under_way)
    send.open.set()
    assert 6 == await heard[1]
    assert 8 == await coalescer.ask("show", 4)


async def test_a_batch_is_asked_on_behalf_of_all_its_users():
    """And of no more than metadata can name: the others travel beside it."""
    batches: list[tuple[int, int]] = []

    async def send(group: str, questions: Sequence[int]) -> list[int]:
        batches.append((len(questions), len(current_call().users)))
        return [2 * question for question in questions]

    coalescer: Coalescer[str, int, int] = Coalescer(send)

    async def ask(number: int) -> int:
        enter(replace(current_call(), users=(f"holder/{number % 100}",)))
        return await coalescer.ask("show", number)

    answers = await asyncio.gather(*(asyncio.create_task(ask(number)) for number in range(150)))
    assert [2 * number for number in range(150)] == answers
    assert [(64, 64), (64, 64), (22, 22)] == sorted(batches, reverse=True)
