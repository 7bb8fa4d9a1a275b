"""The limiter: takes tokens before a call is served, and more of them where nobody was known."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Sequence

from google.protobuf.message import Message

from services.common.errors import LimitExceeded
from services.runtime.limits.buckets import BucketsDownError, LocalBuckets, SharedBuckets, Taking
from services.runtime.limits.classes import CLASSES, LimitClass, cost_of
from services.runtime.limits.metrics import DEARER, LIMITED, LOCAL, UNKNOWN_PERSONS
from services.runtime.limits.rules import ADDRESS, PRINCIPAL, Rule, Rules
from services.runtime.resilience.tasks import end
from services.runtime.rpc.call import Call
from services.runtime.tls.identity import SCHEME, TRUST_DOMAIN

log = logging.getLogger("hutong.limits")

LONGEST_PAUSE = 5.0
"""Seconds that a stream is made to wait at a time."""
DEAREST = 64
"""The most tokens that an answer about an unknown person costs."""
_STEPS = 8
"""In so many equal steps of debt the cost doubles each time."""
_SERVICES = frozenset(("gateway", "lookup", "verdict"))
"""The names that services of a mesh without certificates give."""
_MESH = f"{SCHEME}{TRUST_DOMAIN}/"


class Limiter:
    """Limits calls by principal, where one is proven, and by address, where one is told. Services of the mesh itself
    are not limited: what they ask, others asked them. Where services take callers at their word, the name that is given
    counts beside the address, and whoever says that it is a service of the mesh is limited by the one user on whose
    behalf it asks: the address of a gateway is everybody's. Without `shared`, or while it is down, the limits are those
    of this process. `now` is a monotonic clock, in seconds."""

    def __init__(
        self, rules: Rules, shared: SharedBuckets | None = None, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._rules = rules
        self._shared = shared
        self._now = now
        self._local = LocalBuckets()
        self._tasks: set[asyncio.Task[None]] = set()
        LOCAL.set(0)

    async def admit(self, call: Call, method: str, request: Message) -> None:
        """Takes the tokens of a request. Raises LimitExceeded."""
        kind = CLASSES.get(method)
        if kind is None:
            return
        takings = self._takings(call, kind, cost_of(request))
        if takings:
            exceeded = await self._take(takings)
            if exceeded is not None:
                rule, missing = exceeded
                LIMITED.labels(rule.name).inc()
                raise LimitExceeded(rule.name, missing / rule.rate)

    async def pace(self, call: Call, method: str, request: Message) -> None:
        """Takes the tokens of one more request of a stream, and waits until they are there."""
        kind = CLASSES.get(method)
        if kind is None:
            return
        takings = self._takings(call, kind, cost_of(request))
        while takings and (exceeded := await self._take(takings)) is not None:
            rule, missing = exceeded
            await asyncio.sleep(min(LONGEST_PAUSE, missing / rule.rate))

    def charge(self, call: Call, method: str, unknown: int) -> None:
        """Charges for people of whom nothing was known: nothing more at first, then ever more. The next calls pay for
        it, whomever they are about, and the answer does not wait for it: neither tells who is known."""
        kind = CLASSES.get(method)
        if kind is None or unknown <= 0:
            return
        UNKNOWN_PERSONS.labels(kind.value).inc(unknown)
        now = self._now()
        for asker, name in _askers(call):
            free = Taking(self._rules.unknown(asker), name, unknown, forced=True)
            own = self._local.take(free, now)
            if self._shared is None:
                surcharge = self._surcharge(kind, asker, free, own)
                if surcharge is not None:
                    self._local.take(surcharge, now)
            else:
                task = asyncio.get_running_loop().create_task(self._charge_shared(kind, asker, free, own))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _charge_shared(self, kind: LimitClass, asker: str, free: Taking, own: float) -> None:
        (owed,) = await self._from_shared([free]) or (own,)
        surcharge = self._surcharge(kind, asker, free, owed)
        if surcharge is not None:
            self._local.take(surcharge, self._now())
            await self._from_shared([surcharge])

    def _surcharge(self, kind: LimitClass, asker: str, free: Taking, owed: float) -> Taking | None:
        """Returns what is taken besides from an asker that owes so much of what is free."""
        if owed <= 0:
            return None
        DEARER.labels(asker).inc(free.tokens)
        times = min(DEAREST, 2 ** (1 + int(owed * _STEPS / free.rule.burst))) - 1
        return Taking(self._rules.of(kind, asker), free.asker, free.tokens * times, forced=True)

    def _takings(self, call: Call, kind: LimitClass, tokens: int) -> list[Taking]:
        return [Taking(self._rules.of(kind, asker), name, tokens) for asker, name in _askers(call)]

    async def _take(self, takings: Sequence[Taking]) -> tuple[Rule, float] | None:
        """Takes, and returns the rule that stands against it with the tokens that are missing."""
        now = self._now()
        # What this process alone has been asked is too much already, whatever the others were.
        for taking in takings:
            missing = self._local.take(taking, now)
            if missing > 0:
                return taking.rule, missing
        for taking, missing in zip(takings, await self._from_shared(takings), strict=False):
            if missing > 0:
                return taking.rule, missing
        return None

    async def _from_shared(self, takings: Sequence[Taking]) -> Sequence[float]:
        """Takes from what replicas share; returns nothing where nothing is shared, and while it is down."""
        if self._shared is None:
            return ()
        try:
            answers = await self._shared.take(takings)
        except BucketsDownError:
            LOCAL.set(1)
            log.warning("limits are this process's own: Redis does not answer")
            return ()
        LOCAL.set(0)
        return answers

    async def close(self) -> None:
        """Ends what is under way, and closes the connections to what is shared."""
        await end(list(self._tasks))
        if self._shared is not None:
            await self._shared.close()


def _askers(call: Call) -> Iterator[tuple[str, str]]:
    if call.proven:
        if _is_mesh(call.caller):
            return
        yield PRINCIPAL, call.caller
    elif call.caller and not call.caller.startswith(SCHEME):
        if call.caller in _SERVICES or call.caller.startswith("records-"):
            # A batch of several people's questions was made of calls that were limited one by one.
            if len(call.users) == 1 and call.users[0] != call.caller:
                yield PRINCIPAL, call.users[0]
            return
        yield PRINCIPAL, call.caller
    if call.address:
        yield ADDRESS, call.address


def _is_mesh(caller: str) -> bool:
    return caller.startswith((f"{_MESH}mesh/", f"{_MESH}nation/")) or (
        caller.startswith(f"{_MESH}region/") and caller.endswith("/records")
    )
