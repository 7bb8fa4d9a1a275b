"""A gateway whose computations go step by step, so that a test decides what comes before what."""

import asyncio
from collections.abc import Sequence
from typing import Any

from hutong.lookup.v1.evidence_service_pb2 import SourceCoverage, SourceStatus
from hutong.lookup.v1.region_pb2 import Scope
from hutong.verdict.v1 import policy_service_pb2, verdict_service_pb2
from hutong.verdict.v1.verdict_pb2 import Colour, Status, Verdict
from hutong.verdict.v1.verdict_service_pb2 import VerdictOutcome

from gateway.codes.cache.entry import Entry
from gateway.codes.cache.protocol import Key, Lease, News, Reading, VerdictCache
from services.common.instants import HOUR, Instant, to_timestamp
from services.runtime.clock import system_clock
from tests.testkit.identities import FOLLOWED, judge

REGIONS = ("110000", "210000")
LABORATORY = "430000-xiangya"


class Gate:
    """Holds whoever passes first until `open`; tells by `passed` when they are through. Others pass freely."""

    def __init__(self) -> None:
        self._taken = False
        self._open = asyncio.Event()
        self.reached = asyncio.Event()
        self.passed = asyncio.Event()

    async def hold(self) -> bool:
        """Waits for its turn; whether this was the one that is held."""
        if self._taken:
            return False
        self._taken = True
        self.reached.set()
        await self._open.wait()
        return True

    def open(self) -> None:
        """Lets it through, now or when it comes."""
        self._open.set()


class SteppedCache:
    """A cache whose first lease and first store wait to be let through."""

    def __init__(self, cache: VerdictCache) -> None:
        self._cache = cache
        self.lease_gate = Gate()
        self.store_gate = Gate()
        self.reads = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cache, name)

    async def read(self, keys: Sequence[Key]) -> Reading:
        """See VerdictCache."""
        reading = await self._cache.read(keys)
        self.reads += 1
        return reading

    async def lease(self, persons: Sequence[bytes]) -> Sequence[Lease | None]:
        """See VerdictCache."""
        held = await self.lease_gate.hold()
        leases = await self._cache.lease(persons)
        if held:
            self.lease_gate.passed.set()
        return leases

    async def store(self, items: Sequence[tuple[Lease, str, Entry]]) -> Sequence[bool]:
        """See VerdictCache."""
        held = await self.store_gate.hold()
        stored = await self._cache.store(items)
        if held:
            self.store_gate.passed.set()
        return stored


class Truth:
    """The services behind a gateway: what is true is a number that grows, which a verdict tells as its days since test.
    `keys` are the documents of every person; the gates hold the first computation before it reads, and before it
    answers."""

    def __init__(self) -> None:
        self.version = 0
        self.keys: list[bytes] = []
        self.digest = b"0"
        self.evidence_gate = Gate()
        self.answer_gate = Gate()
        self.batches: list[int] = []

    async def BatchComputeVerdicts(
        self, request: verdict_service_pb2.BatchComputeVerdictsRequest
    ) -> verdict_service_pb2.BatchComputeVerdictsResponse:
        """Reads the evidence, which may be held before and after."""
        self.batches.append(len(request.queries))
        held = await self.evidence_gate.hold()
        version, digest = self.version, self.digest
        if held:
            self.evidence_gate.passed.set()
        await self.answer_gate.hold()
        return verdict_service_pb2.BatchComputeVerdictsResponse(
            outcomes=[
                VerdictOutcome(verdict=self.verdict(query, version, system_clock()), policy_digest=digest)
                for query in request.queries
            ],
            judge=judge(),
        )

    def verdict(self, query: verdict_service_pb2.VerdictQuery, version: int, now: Instant) -> Verdict:
        """A verdict that tells a version."""
        person = query.subject.person_key
        return Verdict(
            region=query.region,
            scope=Scope.SCOPE_NATIONAL,
            status=Status.STATUS_RECOGNISED,
            colour=Colour.COLOUR_GREEN,
            days_since_test=version,
            fresh_until=to_timestamp(Instant(now + HOUR)),
            valid_until=to_timestamp(Instant(now + HOUR)),
            computed_at=to_timestamp(now),
            person_keys=[person, *(key for key in self.keys if key != person)],
            laboratories=[LABORATORY],
            coverage=[SourceCoverage(source="nation", status=SourceStatus.SOURCE_STATUS_OK, as_of=to_timestamp(now))],
        )

    async def GetPolicyDigests(
        self, request: policy_service_pb2.GetPolicyDigestsRequest
    ) -> policy_service_pb2.GetPolicyDigestsResponse:
        """The digest of every region's policies."""
        return policy_service_pb2.GetPolicyDigestsResponse(digests=dict.fromkeys(REGIONS, self.digest))


async def begin(cache: VerdictCache, feeds: Sequence[str]) -> None:
    """Begins to follow feeds, as a follower does."""
    for feed in feeds:
        followed = FOLLOWED if feed == "nation" else None
        await cache.begin(feed, News(cursor="0", as_of=system_clock(), followed=followed))


async def tell(
    cache: VerdictCache, feed: str, *, persons: Sequence[bytes] = (), laboratories: Sequence[str] = ()
) -> None:
    """News arrive, as a follower takes them in."""
    before = await cache.cursor(feed)
    assert before is not None
    assert await cache.apply(feed, before, News(str(int(before) + 1), persons, laboratories, system_clock()))
