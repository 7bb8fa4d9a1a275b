"""Computations under way: one for each person, region and scope, however many ask at a time."""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from hutong.common.v1.subject_pb2 import Purpose
from hutong.gateway.v1.health_code_service_pb2 import ShowHealthCodeResponse
from hutong.verdict.v1.verdict_pb2 import Verdict

from gateway.application.admission import Question
from gateway.codes.cache.entry import Entry, fresh_until
from gateway.codes.cache.protocol import CacheDownError, Lease, VerdictCache
from gateway.codes.policy_digests import PolicyDigests
from gateway.codes.verdict_client import VerdictClient
from gateway.http import views
from services.common.errors import DeadlineExceeded, ServiceError
from services.common.instants import from_timestamp
from services.runtime.clock import Clock
from services.runtime.resilience.tasks import done_by
from services.runtime.rpc.call import current_call, enter
from services.runtime.rpc.errors import from_item_error, internal

log = logging.getLogger("hutong.codes")

MARGIN_SECONDS = 0.1
"""Kept of a caller's deadline, so that the last known verdict can still be shown."""


class _Landed(NamedTuple):
    answer: Entry | ServiceError
    overtaken: bool = False
    """Something about the person changed meanwhile: fine for who asked before, too old for who joined later."""


class _Flight:
    """One computation under way; `departed` numbers it among all, in the order in which they began."""

    __slots__ = ("departed", "joined", "landed")

    def __init__(self, departed: int) -> None:
        self.departed = departed
        self.joined = False
        self.landed: asyncio.Future[_Landed] = asyncio.get_running_loop().create_future()


class SingleFlight:
    """Computes verdicts and stores those that may be. `seconds` bounds one computation; `chance` in [0, 1) shortens
    the time of an entry."""

    def __init__(
        self,
        cache: VerdictCache,
        computer: VerdictClient,
        policies: PolicyDigests,
        *,
        clock: Clock,
        seconds: float,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._cache = cache
        self._computer = computer
        self._policies = policies
        self._clock = clock
        self._seconds = seconds
        self._chance = chance
        self._under_way: dict[bytes, dict[str, _Flight]] = {}
        self._departures = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def forget(self, person: bytes) -> None:
        """Lets nobody else join what is under way for a person."""
        self._under_way.pop(person, None)

    async def compute(
        self, questions: Sequence[Question], purpose: Purpose.ValueType
    ) -> Sequence[Entry | ServiceError]:
        """The computed answers, in order, within the current call's deadline."""
        answers: list[Entry | ServiceError] = [DeadlineExceeded() for _ in questions]
        end = current_call().deadline - MARGIN_SECONDS
        arrived = self._departures
        again: list[int] = []
        for at, (flight, joined) in self._board(range(len(questions)), questions, purpose, since=0).items():
            landed = await _land(flight.landed, end)
            if landed is not None:
                answers[at] = landed.answer
                if landed.overtaken and joined:
                    again.append(at)
        # What these joined had begun before a change that they came after. Whatever began since they came will do.
        for at, (flight, _) in self._board(again, questions, purpose, since=arrived).items():
            landed = await _land(flight.landed, end)
            answers[at] = DeadlineExceeded() if landed is None else landed.answer
        return answers

    def _board(
        self, which: Sequence[int], questions: Sequence[Question], purpose: Purpose.ValueType, *, since: int
    ) -> dict[int, tuple[_Flight, bool]]:
        """The flight each of these questions is on, and whether it joined one already under way, that departed after
        `since`."""
        boarded: dict[int, tuple[_Flight, bool]] = {}
        departing: list[tuple[Question, _Flight]] = []
        for at in which:
            question = questions[at]
            person, slot = question.key
            under_way = self._under_way.get(person, {}).get(slot)
            if under_way is not None and under_way.departed > since and not question.refresh and not question.past:
                under_way.joined = True
                boarded[at] = (under_way, True)
                continue
            self._departures += 1
            flight = _Flight(self._departures)
            if not question.past:
                self._under_way.setdefault(person, {})[slot] = flight
            departing.append((question, flight))
            boarded[at] = (flight, False)
        if departing:
            task = asyncio.get_running_loop().create_task(self._fly(departing, purpose))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return boarded

    async def _fly(self, departing: Sequence[tuple[Question, _Flight]], purpose: Purpose.ValueType) -> None:
        # A flight has a deadline of its own: whoever began it may leave before whoever joined.
        call = replace(current_call(), deadline=time.monotonic() + self._seconds)
        enter(call)
        landed: Sequence[_Landed]
        try:
            landed = await self._computed(departing, purpose)
        except ServiceError as error:
            landed = [_Landed(error)] * len(departing)
        except TimeoutError:
            landed = [_Landed(DeadlineExceeded("判定服务未及时应答", "The verdict did not come in time"))] * len(
                departing
            )
        except Exception:
            # Whatever it was, those who wait must hear of it.
            log.exception("unexpected error")
            landed = [_Landed(internal(call.trace.hex_id))] * len(departing)
        self._arrived(departing)
        for (_, flight), one in zip(departing, landed, strict=True):
            flight.landed.set_result(one)

    def _arrived(self, departing: Sequence[tuple[Question, _Flight]]) -> None:
        """From here on nobody joins these."""
        for question, flight in departing:
            person, slot = question.key
            slots = self._under_way.get(person, {})
            if slots.get(slot) is flight:
                del slots[slot]
                if not slots:
                    del self._under_way[person]

    async def _computed(
        self, departing: Sequence[tuple[Question, _Flight]], purpose: Purpose.ValueType
    ) -> Sequence[_Landed]:
        questions = [question for question, _ in departing]
        asked_at = self._clock()
        # Both are taken before evidence is asked for: what changes after this moment, an entry must not outlive.
        leases = await self._leases(questions)
        digests = {question.region: self._policies.of(question.region) for question in questions}
        async with asyncio.timeout(self._seconds):
            outcomes = await self._computer.compute(questions, purpose)
        now = self._clock()
        landed: list[_Landed] = []
        keeping: list[int] = []
        items: list[tuple[Lease, str, Entry]] = []
        for at, (question, outcome) in enumerate(zip(questions, outcomes, strict=True)):
            if outcome.HasField("error"):
                landed.append(_Landed(from_item_error(outcome.error)))
                continue
            # The policies that judged, not those last told of: verdict's replicas do not reload at one moment.
            lease, digest = leases.get(question.person), outcome.policy_digest
            until = fresh_until(outcome.verdict, question.person, now, self._chance())
            entry = _entry(outcome.verdict, until or 0, lease.standing if lease else 0, digest, asked_at)
            landed.append(_Landed(entry, overtaken=_changes_elsewhere(outcome.verdict, question.person)))
            if lease is not None and until is not None and digest and not question.past:
                keeping.append(at)
                items.append((lease, question.key[1], entry))
        if items:
            try:
                stored = await self._cache.store(items)
            except CacheDownError:
                stored = [True] * len(items)
            for at, kept in zip(keeping, stored, strict=True):
                if not kept:
                    landed[at] = _Landed(landed[at].answer, overtaken=True)
        self._arrived(departing)
        joined = [at for at, (_, flight) in enumerate(departing) if flight.joined]
        if joined:
            # Not only what could be stored may have been overtaken, nor only by news about the person.
            held = await self._leases([questions[at] for at in joined])
            for at in joined:
                person, region = questions[at].person, questions[at].region
                if held.get(person) != leases.get(person) or self._policies.of(region) != digests[region]:
                    landed[at] = _Landed(landed[at].answer, overtaken=True)
        return landed

    async def _leases(self, questions: Sequence[Question]) -> Mapping[bytes, Lease]:
        persons = list({question.person for question in questions if not question.past})
        if not persons:
            return {}
        try:
            leases = await self._cache.lease(persons)
        except CacheDownError:
            return {}
        return {lease.person: lease for lease in leases if lease is not None}


async def _land(flight: asyncio.Future[_Landed], end: float) -> _Landed | None:
    """What became of a flight; None when `end`, of time.monotonic(), came first."""
    # Waiting, unlike awaiting, leaves the flight going for others when this caller leaves.
    return flight.result() if await done_by(flight, end) else None


def _changes_elsewhere(verdict: Verdict, person: bytes) -> bool:
    """Whether it rests on documents whose changes would not be noticed under this person's key."""
    return list(verdict.person_keys) != [person]


def _entry(verdict: Verdict, until: int, standing: int, digest: bytes, asked_at: int) -> Entry:
    # A copy: the message may be someone else's, too.
    message = ShowHealthCodeResponse(verdict=verdict)
    message.verdict.ClearField("person_keys")
    if verdict.HasField("newest_test"):
        message.verdict.newest_test.ClearField("person_key")
    return Entry(
        body=views.verdict(verdict),
        message=message.SerializeToString(),
        region=verdict.region,
        scope=verdict.scope,
        status=verdict.status,
        computed_at=from_timestamp(verdict.computed_at),
        fresh_until=until,
        valid_until=from_timestamp(verdict.valid_until) if verdict.HasField("valid_until") else 0,
        laboratories=tuple(verdict.laboratories),
        standing=standing,
        digest=digest,
        asked_at=asked_at,
    )
