"""Computations under way: one for each person, region and scope, however many ask at a time."""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import NamedTuple

from hutong.common.v1.subject_pb2 import Purpose
from hutong.gateway.v1.health_code_service_pb2 import ShowHealthCodeResponse
from hutong.verdict.v1.verdict_pb2 import Verdict
from msgspec.structs import replace

from gateway.codes.cache.entry import Entry, feeds_of, fresh_until, is_partial
from gateway.codes.cache.protocol import CacheDownError, Lease, VerdictCache
from gateway.codes.policy_digests import PolicyDigests
from gateway.codes.query import CodeQuery
from gateway.codes.verdict_client import VerdictClient
from services.common.errors import DeadlineExceeded, ServiceError
from services.common.instants import from_timestamp
from services.runtime.clock import Clock
from services.runtime.limits.unknown_persons import all_answered
from services.runtime.resilience.tasks import done_by
from services.runtime.rpc.call import current_call, enter
from services.runtime.rpc.errors import from_item_error, internal

log = logging.getLogger("hutong.codes")

MARGIN_SECONDS = 0.1
"""Kept of a caller's deadline, so that the last known verdict can still be shown."""

Render = Callable[[Verdict], bytes]
"""Writes what an entry keeps ready of a verdict."""


class _Result(NamedTuple):
    answer: Entry | ServiceError
    superseded: bool = False
    """Something about the person changed meanwhile: fine for who asked before, too old for who joined later."""


class _Computation:
    """One computation under way; `number` counts all computations in the order in which they began."""

    __slots__ = ("joined", "number", "result")

    def __init__(self, number: int) -> None:
        self.number = number
        self.joined = False
        self.result: asyncio.Future[_Result] = asyncio.get_running_loop().create_future()


class SingleFlight:
    """Computes verdicts and stores those that may be. `render` makes an entry's body, `seconds` bounds one computation,
    `chance` in [0, 1) shortens the time of an entry."""

    def __init__(
        self,
        cache: VerdictCache,
        verdicts: VerdictClient,
        policies: PolicyDigests,
        *,
        render: Render,
        clock: Clock,
        seconds: float,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._cache = cache
        self._verdicts = verdicts
        self._policies = policies
        self._render = render
        self._clock = clock
        self._seconds = seconds
        self._chance = chance
        self._under_way: dict[bytes, dict[str, _Computation]] = {}
        self._count = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def forget(self, person: bytes) -> None:
        """Lets nobody else join what is under way for a person."""
        self._under_way.pop(person, None)

    async def compute(self, queries: Sequence[CodeQuery], purpose: Purpose.ValueType) -> Sequence[Entry | ServiceError]:
        """Returns the computed answers, in order, within the current call's deadline."""
        answers: list[Entry | ServiceError] = [DeadlineExceeded() for _ in queries]
        end = current_call().deadline - MARGIN_SECONDS
        came_at = self._count
        again: list[int] = []
        for at, (computation, joined) in self._begin(range(len(queries)), queries, purpose, after=0).items():
            result = await _result_by(computation.result, end)
            if result is not None:
                answers[at] = result.answer
                if result.superseded and joined:
                    again.append(at)
        # What these joined had begun before a change that they came after. Whatever began since they came will do.
        for at, (computation, _) in self._begin(again, queries, purpose, after=came_at).items():
            result = await _result_by(computation.result, end)
            answers[at] = DeadlineExceeded() if result is None else result.answer
        return answers

    def _begin(
        self, which: Sequence[int], queries: Sequence[CodeQuery], purpose: Purpose.ValueType, *, after: int
    ) -> dict[int, tuple[_Computation, bool]]:
        """Finds or begins the computation of each of these queries; tells whether it was found, under way and begun
        after the one numbered `after`."""
        chosen: dict[int, tuple[_Computation, bool]] = {}
        beginning: list[tuple[CodeQuery, _Computation]] = []
        for at in which:
            query = queries[at]
            person, slot = query.key
            under_way = self._under_way.get(person, {}).get(slot)
            if under_way is not None and under_way.number > after and not query.refresh and not query.past:
                under_way.joined = True
                chosen[at] = (under_way, True)
                continue
            self._count += 1
            computation = _Computation(self._count)
            if not query.past:
                self._under_way.setdefault(person, {})[slot] = computation
            beginning.append((query, computation))
            chosen[at] = (computation, False)
        if beginning:
            task = asyncio.get_running_loop().create_task(self._run(beginning, purpose))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return chosen

    async def _run(self, batch: Sequence[tuple[CodeQuery, _Computation]], purpose: Purpose.ValueType) -> None:
        # A computation has a deadline of its own: whoever began it may leave before whoever joined.
        call = replace(current_call(), deadline=time.monotonic() + self._seconds)
        enter(call)
        results: Sequence[_Result]
        try:
            results = await self._compute(batch, purpose)
        except ServiceError as error:
            results = [_Result(error)] * len(batch)
        except Exception:
            # Whatever it was, those who wait must hear of it.
            log.exception("unexpected error")
            results = [_Result(internal(call.trace.hex_id))] * len(batch)
        self._close(batch)
        for (_, computation), result in zip(batch, results, strict=True):
            computation.result.set_result(result)

    def _close(self, batch: Sequence[tuple[CodeQuery, _Computation]]) -> None:
        """From here on nobody joins these."""
        for query, computation in batch:
            person, slot = query.key
            slots = self._under_way.get(person, {})
            if slots.get(slot) is computation:
                del slots[slot]
                if not slots:
                    del self._under_way[person]

    async def _compute(
        self, batch: Sequence[tuple[CodeQuery, _Computation]], purpose: Purpose.ValueType
    ) -> Sequence[_Result]:
        queries = [query for query, _ in batch]
        asked_at = self._clock()
        # Both are taken before evidence is asked for: what changes after this moment, an entry must not outlive.
        leases = await self._leases(queries)
        digests = {query.region: self._policies.of(query.region) for query in queries}
        outcomes = await self._verdicts.compute(queries, purpose)
        now = self._clock()
        results: list[_Result] = []
        storable: list[int] = []
        items: list[tuple[Lease, str, Entry]] = []
        for at, (query, (outcome, told)) in enumerate(zip(queries, outcomes, strict=True)):
            if isinstance(outcome, ServiceError):
                results.append(_Result(outcome))
                continue
            if outcome.HasField("error"):
                results.append(_Result(from_item_error(outcome.error)))
                continue
            # The policies that judged, not those last told of: verdict's replicas do not reload at one moment.
            lease, digest = leases.get(query.person), outcome.policy_digest
            feeds = feeds_of(outcome.verdict, told, lease.followed) if lease else ()
            until = fresh_until(outcome.verdict, query.person, now, self._chance(), told=feeds is not None)
            entry = self._entry(
                outcome.verdict, until or 0, lease.standing if lease else 0, digest, asked_at, feeds or ()
            )
            results.append(_Result(entry, superseded=_changes_elsewhere(outcome.verdict, query.person)))
            if lease is not None and until is not None and digest and not query.past:
                storable.append(at)
                items.append((lease, query.key[1], entry))
        if items:
            try:
                stored = await self._cache.store(items)
            except CacheDownError:
                stored = [True] * len(items)
            for at, kept in zip(storable, stored, strict=True):
                if not kept:
                    results[at] = _Result(results[at].answer, superseded=True)
        self._close(batch)
        joined = [at for at, (_, computation) in enumerate(batch) if computation.joined]
        if joined:
            # Not only what could be stored may have been superseded, nor only by news about the person.
            held = await self._leases([queries[at] for at in joined])
            for at in joined:
                person, region = queries[at].person, queries[at].region
                if held.get(person) != leases.get(person) or self._policies.of(region) != digests[region]:
                    results[at] = _Result(results[at].answer, superseded=True)
        return results

    async def _leases(self, queries: Sequence[CodeQuery]) -> Mapping[bytes, Lease]:
        persons = list({query.person for query in queries if not query.past})
        if not persons:
            return {}
        try:
            leases = await self._cache.lease(persons)
        except CacheDownError:
            return {}
        return {lease.person: lease for lease in leases if lease is not None}

    def _entry(
        self, verdict: Verdict, until: int, standing: int, digest: bytes, asked_at: int, feeds: tuple[str, ...]
    ) -> Entry:
        # A copy: the message may be someone else's, too.
        message = ShowHealthCodeResponse(verdict=verdict)
        message.verdict.ClearField("person_keys")
        if verdict.HasField("newest_test"):
            message.verdict.newest_test.ClearField("person_key")
        body = self._render(verdict)
        return Entry(
            body=body,
            body_digest=blake2b(body, digest_size=16).digest(),
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
            partial=is_partial(verdict),
            feeds=feeds,
            unknown=not _names_a_test(verdict) and all_answered(verdict.coverage),
        )


async def _result_by(result: asyncio.Future[_Result], end: float) -> _Result | None:
    """Waits for a computation; returns None when `end`, of time.monotonic(), came first."""
    # Waiting, unlike awaiting, leaves the computation going for others when this caller leaves.
    return result.result() if await done_by(result, end) else None


def _names_a_test(verdict: Verdict) -> bool:
    return (
        verdict.HasField("newest_test")
        or any(reason.HasField("evidence") for reason in verdict.reasons)
        or any(one.evidence for one in verdict.grounds)
    )


def _changes_elsewhere(verdict: Verdict, person: bytes) -> bool:
    """Tells whether it rests on documents whose changes would not be noticed under this person's key."""
    return list(verdict.person_keys) != [person]
