"""Verdicts that must be computed, asked for in batches."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from hutong.common.v1.subject_pb2 import Purpose, Subject
from hutong.verdict.v1.policy_service_pb2 import GetPolicyDigestsRequest
from hutong.verdict.v1.verdict_service_pb2 import BatchComputeVerdictsRequest, VerdictOutcome, VerdictQuery

from gateway.codes.judges import Judges
from gateway.codes.query import CodeQuery
from gateway.codes.verdict_checks import VerdictChecks
from gateway.mesh_identity import VERDICT, MeshIdentity
from gateway.ports import VerdictSource
from services.common.errors import Code, DeadlineExceeded, ServiceError, Unavailable
from services.common.instants import Instant, to_timestamp
from services.runtime.clock import Clock, system_clock
from services.runtime.resilience.breaker import Breaker
from services.runtime.resilience.coalescer import Coalescer
from services.runtime.resilience.turns import Turns
from services.runtime.rpc.call import current_asker, enter, leave, within

log = logging.getLogger("hutong.codes")

PROBE_SECONDS = 1.0
LIVE_IN_TURN = 100
PAST_IN_TURN = 20
"""So many queries of a batch, about now and about the past, are asked in one turn."""
AT_ONCE = 2
"""So many turns at a time: while one's answers are read, another's are computed."""


class Judged(NamedTuple):
    """The answer to one query, and the feeds of the sources that verdicts of that moment rest on, by source."""

    outcome: VerdictOutcome | ServiceError
    feeds: Mapping[str, str]


class VerdictClient:
    """Asks the verdict service. Queries that come one at a time in one moment travel together, by purpose; those about
    the past apart, and large batches in slices, for which callers take turns. A service that does not answer within
    `seconds`, or cannot be reached, is asked by nobody until it answers a question about its policies: it costs one
    timeout."""

    def __init__(
        self, verdicts: VerdictSource, mesh: MeshIdentity, clock: Clock = system_clock, *, seconds: float
    ) -> None:
        self._verdicts = verdicts
        self._mesh = mesh
        self._checks = VerdictChecks(mesh)
        self._clock = clock
        self._judges = Judges()
        self._seconds = seconds
        self._breaker = Breaker(self._answers, went_down=_went_down, came_back=_came_back)
        self._coalescer: Coalescer[Purpose.ValueType, VerdictQuery, Judged] = Coalescer(self._send)
        self._past: Coalescer[Purpose.ValueType, VerdictQuery, Judged] = Coalescer(
            self._send_in_turn, most=PAST_IN_TURN
        )
        self._turns = Turns(AT_ONCE)

    async def compute(self, queries: Sequence[CodeQuery], purpose: Purpose.ValueType) -> Sequence[Judged]:
        """Returns the answers in order; queries that come together travel as one. Raises ServiceError: Unavailable
        (WRONG_STORE, OTHER_SECRET) where evidence is another mesh's."""
        if self._breaker.down:
            raise Unavailable("SERVICE_UNREACHABLE", "verdict 服务无法连接", "The verdict service cannot be reached")
        # What waits behind others, or is much, says nothing of the service when it is late.
        patient = len(queries) == 1 and not queries[0].past
        try:
            async with asyncio.timeout(self._seconds):
                return await self._ask([_message(query) for query in queries], purpose)
        except TimeoutError:
            self._breaker.timed_out(patient=patient)
            raise DeadlineExceeded("判定服务未及时应答", "The verdict did not come in time") from None
        except ServiceError as error:
            if error.code is Code.DEADLINE_EXCEEDED:
                self._breaker.timed_out(patient=patient)
            elif error.reason == "SERVICE_UNREACHABLE":
                self._breaker.failed()
            raise

    async def close(self) -> None:
        """Asks no more whether the service is back."""
        await self._breaker.close()

    async def _answers(self) -> bool:
        token = enter(within(PROBE_SECONDS))
        try:
            await self._verdicts.GetPolicyDigests(GetPolicyDigestsRequest())
        except ServiceError:
            return False
        finally:
            leave(token)
        return True

    async def _ask(self, messages: Sequence[VerdictQuery], purpose: Purpose.ValueType) -> Sequence[Judged]:
        if len(messages) == 1:
            if _past(messages[0]):
                return [await self._past.ask(purpose, messages[0])]
            with self._turns.light():
                return [await self._coalescer.ask(purpose, messages[0])]
        past = any(_past(message) for message in messages)
        if not past and len(messages) <= LIVE_IN_TURN:
            with self._turns.light():
                return await self._send(purpose, messages)
        outcomes: list[Judged] = []
        size = PAST_IN_TURN if past else LIVE_IN_TURN
        for start in range(0, len(messages), size):
            outcomes += await self._send_in_turn(purpose, messages[start : start + size])
        return outcomes

    async def _send_in_turn(self, purpose: Purpose.ValueType, queries: Sequence[VerdictQuery]) -> Sequence[Judged]:
        async with self._turns.heavy(current_asker()):
            return await self._send(purpose, queries)

    async def _send(self, purpose: Purpose.ValueType, queries: Sequence[VerdictQuery]) -> Sequence[Judged]:
        request = BatchComputeVerdictsRequest(queries=queries, purpose=purpose)
        asked_at = self._clock()
        response = await self._verdicts.BatchComputeVerdicts(request)
        answered_at = self._clock()
        self._judges.see(response.judge, asked_at, answered_at)
        if len(response.outcomes) != len(queries):
            raise RuntimeError("the verdict service gave another number of outcomes than there were queries")
        evidence = response.judge.evidence
        if any(outcome.HasField("verdict") for outcome in response.outcomes):
            self._mesh.check_lookup(evidence, VERDICT)
        feeds = {feed.region: feed.feed_id for feed in evidence.follows}
        return [
            Judged(self._checked(query, outcome, feeds, asked_at, answered_at), feeds)
            for query, outcome in zip(queries, response.outcomes, strict=True)
        ]

    def _checked(
        self,
        query: VerdictQuery,
        outcome: VerdictOutcome,
        feeds: Mapping[str, str],
        asked_at: Instant,
        answered_at: Instant,
    ) -> VerdictOutcome | ServiceError:
        if not outcome.HasField("verdict"):
            return outcome
        try:
            self._checks.check(outcome.verdict, feeds)
            if not _past(query):
                self._checks.check_live(outcome.verdict, asked_at, answered_at)
        except Unavailable as error:
            return error
        return outcome


def _went_down() -> None:
    log.warning("verdict service down: the last known codes are shown")


def _came_back() -> None:
    log.warning("verdict service is back")


def _past(query: VerdictQuery) -> bool:
    return query.HasField("known_at") or query.HasField("at")


def _message(query: CodeQuery) -> VerdictQuery:
    return VerdictQuery(
        subject=Subject(person_key=query.person),
        region=query.region,
        scope=query.scope,
        at=None if query.at is None else to_timestamp(query.at),
        known_at=None if query.known_at is None else to_timestamp(query.known_at),
        scene=query.scene,
        date_of_birth=query.born,
    )
