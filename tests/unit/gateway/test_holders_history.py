"""Each gateway notices by itself that lookup's store lost what it had told, and that the right one is back."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from hutong.lookup.v1.holder_service_pb2 import HolderChange, WatchHoldersRequest, WatchHoldersResponse

from gateway.codes.cache.memory import MemoryCache
from gateway.codes.query import CodeQuery
from gateway.composition import Gateway
from gateway.mesh_identity import LOOKUP, MeshIdentity
from gateway.news import holders_history
from gateway.news.holders_history import HoldersHistory
from services.common.errors import FailedPrecondition, ServiceError, Unavailable
from services.common.instants import MINUTE, Instant, to_timestamp
from tests.testkit.builders.records import SHOW
from tests.testkit.fakes.forward_clock import ForwardClock
from tests.testkit.fakes.mesh import PERSON, Mesh, compose, record
from tests.testkit.identities import gateway_mesh, lookup_identity

NOW = Instant(1_660_000_000_000_000)
PATIENCE_SECONDS = 30.0


def change(sequence: int, minute: int | None = None) -> HolderChange:
    """One of the log, at a minute, which is its number unless told otherwise."""
    at = Instant(NOW + (sequence if minute is None else minute) * MINUTE)
    return HolderChange(sequence=sequence, recorded_at=to_timestamp(at))


BEFORE = (change(1), change(2), change(3))


class Lookup:
    """Lookup, whose log can be replaced. Streams end when it is."""

    def __init__(self) -> None:
        self.log: tuple[HolderChange, ...] = BEFORE
        self.asked = 0

    async def WatchHolders(self, request: WatchHoldersRequest) -> AsyncIterator[WatchHoldersResponse]:
        log = self.log
        at = len(log) if request.sequence == -1 else request.sequence
        if at > len(log):
            raise FailedPrecondition("FEED_REBUILT", "变更流已重建", "The feed has been rebuilt")
        while log is self.log:
            yield WatchHoldersResponse(changes=log[at:], sequence=len(log), identity=lookup_identity())
            self.asked += request.sequence != -1
            at = len(log)
            await asyncio.sleep(0.005)

    def restore(self, *log: HolderChange) -> None:
        """Goes on with another log."""
        self.log, self.asked = log, 0


@pytest.fixture
async def lookup(monkeypatch: pytest.MonkeyPatch) -> Lookup:
    """Lookup, which is asked again soon."""
    monkeypatch.setattr(holders_history, "LONGEST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(holders_history, "PAUSE_SECONDS", 0.01)
    return Lookup()


@pytest.fixture
async def mesh(lookup: Lookup) -> AsyncIterator[MeshIdentity]:
    """The identity of the mesh, at a gateway that has heard of three changes and listens on."""
    mesh = gateway_mesh()
    task = asyncio.create_task(HoldersHistory(lookup, mesh).run())
    async with asyncio.timeout(PATIENCE_SECONDS):
        while lookup.asked < 2:
            await asyncio.sleep(0.005)
    yield mesh
    task.cancel()


def refusal(mesh: MeshIdentity) -> str:
    """The reason for which evidence of lookup is not used; empty when it is."""
    try:
        mesh.check_lookup(lookup_identity(), LOOKUP)
    except ServiceError as error:
        return error.reason
    return ""


async def until(mesh: MeshIdentity, reason: str) -> None:
    """Returns when evidence is refused for a reason."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while refusal(mesh) != reason:
            await asyncio.sleep(0.005)


@pytest.mark.parametrize(
    "restored",
    [(), BEFORE[:1], BEFORE[:2], (*BEFORE[:2], change(3, 9)), (*BEFORE[:2], change(3, 9), change(4, 10))],
    ids=["empty", "two lost", "one lost", "another has its number", "others have gone beyond it"],
)
async def test_a_store_that_lost_changes_is_not_believed_until_it_has_them(
    lookup: Lookup, mesh: MeshIdentity, restored: tuple[HolderChange, ...]
) -> None:
    """However many were made since, and nobody need start the gateway again."""
    assert refusal(mesh) == ""
    lookup.restore(*restored)
    await until(mesh, "FEED_CHANGED")
    lookup.restore(*BEFORE, change(4))
    await until(mesh, "")


async def test_a_store_that_only_went_on_is_believed(lookup: Lookup, mesh: MeshIdentity) -> None:
    """An interruption alone is no loss."""
    lookup.restore(*BEFORE, change(4), change(5))
    async with asyncio.timeout(PATIENCE_SECONDS):
        while lookup.asked < 2:
            assert refusal(mesh) == ""
            await asyncio.sleep(0.005)
    lookup.restore(*BEFORE, change(4))
    await until(mesh, "FEED_CHANGED")


class Services(Mesh):
    """A mesh whose log of holders can be replaced, and that counts who read it."""

    reads = 0

    async def WatchHolders(self, request: WatchHoldersRequest) -> AsyncIterator[WatchHoldersResponse]:
        log = self.holder_changes
        async for batch in super().WatchHolders(request):
            if log is not self.holder_changes:
                raise Unavailable("FEED_ENDED", "变更流已结束", "The feed has ended")
            yield batch
            self.reads += request.sequence != -1


class Standby(MemoryCache):
    """A cache for which another gateway takes the news."""

    async def lead(self, owner: str, seconds: float) -> bool:
        """Never."""
        return False


async def test_a_gateway_that_takes_no_news_for_the_cache_notices_too() -> None:
    """Of several that share a cache one takes the news; a person's link is missing from what any of them is told."""
    services = Services(ForwardClock())
    services.records[PERSON].append(record())
    await services.tell(holder=PERSON)
    gateway = compose(services, cache=Standby(1000))
    async with gateway.service.running(), asyncio.timeout(PATIENCE_SECONDS):
        shown = ""
        while shown != "shown":
            shown = await _shown(gateway)
        # The gateway has the mark once it has read the log, not only asked where it ends.
        while not services.reads:
            await asyncio.sleep(0.01)
        services.holder_changes = []
        while shown != "FEED_CHANGED":
            shown = await _shown(gateway)


async def _shown(gateway: Gateway) -> str:
    await asyncio.sleep(0.02)
    try:
        code = await gateway.application.show(CodeQuery(PERSON, "110000"), SHOW)
    except ServiceError as error:
        return error.reason
    return "shown" if code.entry.status == 1 else "another"
