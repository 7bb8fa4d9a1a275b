"""The runbook of restoring lookup's store, rehearsed on both engines: backed up while holders link documents, lost,
restored. A gateway that had heard of more does not believe it, and what is linked again is as it was."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hutong.lookup.v1.holder_service_pb2 import LinkDocumentsRequest, ListLinkedDocumentsRequest

from gateway.mesh_identity import LOOKUP, MeshIdentity
from gateway.news.holders_history import HoldersHistory
from services.common.errors import ServiceError, Unavailable
from services.lookup.composition import NAME, build
from tests.testkit.calls import local
from tests.testkit.identities import gateway_mesh, lookup_identity
from tests.testkit.servers.backups import BackedUp, backed_up
from tests.testkit.servers.lookup_service import DECISION, PURPOSE, key, mesh, person, settings
from tests.testkit.waiting import until

PATIENCE_SECONDS = 60.0


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
async def lost(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[BackedUp]:
    """Returns the store that will be lost, on each engine."""
    async with backed_up(request.param, tmp_path, "lookup") as store:
        yield store


@asynccontextmanager
async def serving(folder: Path, url: str) -> AsyncIterator[Any]:
    """A lookup service over the store at a URL, called with nothing between."""
    service = build(settings(folder, store_url=url), sources=mesh(), intakes={})
    async with service.running():
        yield local(NAME, "test", service.bindings)


class Holders:
    """People with two documents each, who link them."""

    def __init__(self) -> None:
        self.acknowledged: list[int] = []
        self._next = 0

    async def link(self, lookup: Any, number: int) -> None:
        """One of them links, for the first time or again."""
        request = LinkDocumentsRequest(
            subject=person(2 * number), other=person(2 * number + 1), cause="renewed", purpose=DECISION
        )
        await lookup.LinkDocuments(request)

    async def go_on(self, lookup: Any, count: int) -> None:
        """Lets so many more link."""
        for _ in range(count):
            await self.link(lookup, self._next)
            self.acknowledged.append(self._next)
            self._next += 1

    async def linked(self, lookup: Any) -> list[int]:
        """Those of whom both documents lead to both."""
        known = []
        for number in self.acknowledged:
            pair = [key(2 * number), key(2 * number + 1)]
            keys = []
            for one in (2 * number, 2 * number + 1):
                request = ListLinkedDocumentsRequest(subject=person(one), purpose=PURPOSE)
                keys.append(sorted((await lookup.ListLinkedDocuments(request)).person_keys))
            # Never half of a link.
            assert keys in ([pair, pair], [pair[:1], pair[1:]])
            if keys == [pair, pair]:
                known.append(number)
        return known


def believed(gateway: MeshIdentity) -> bool:
    """Says whether a gateway uses what this lookup says, or its store counts as one that lost something."""
    try:
        gateway.check_lookup(lookup_identity(), LOOKUP)
    except ServiceError as error:
        return error.reason != "FEED_CHANGED"
    return True


class Line:
    """The way to lookup, behind which another service may stand; `heard` is how far the gateway has read its log."""

    def __init__(self, lookup: Any) -> None:
        self.lookup = lookup
        self.heard = 0

    async def WatchHolders(self, request: Any) -> AsyncIterator[Any]:
        """See the contract."""
        lookup = self.lookup
        async with aclosing(lookup.WatchHolders(request)) as batches:
            async for batch in batches:
                if self.lookup is not lookup:
                    raise Unavailable("SERVICE_RESTARTED", "已重启", "It was restarted")
                yield batch
                if batch.changes:
                    self.heard = batch.sequence


async def test_restored_while_holders_link(tmp_path: Path, lost: BackedUp) -> None:
    """All that was linked before the backup is there, whole; what was linked after it is missed at once, and linking
    again brings it back."""
    holders = Holders()
    async with serving(tmp_path, lost.url) as lookup:
        await holders.go_on(lookup, 20)
        before = len(holders.acknowledged)
        backup = asyncio.create_task(lost.back_up())
        while not backup.done():
            await holders.go_on(lookup, 1)
            await asyncio.sleep(0.05)
        await backup
        await holders.go_on(lookup, 20)
        gateway = gateway_mesh()
        line = Line(lookup)
        following = asyncio.create_task(HoldersHistory(line, gateway).run())
        await until(lambda: _has_heard(line, holders), PATIENCE_SECONDS)
        assert believed(gateway)
    try:
        async with serving(tmp_path, await lost.restore()) as restored:
            line.lookup = restored
            known = await holders.linked(restored)
            assert known[:before] == holders.acknowledged[:before]
            assert known == holders.acknowledged[: len(known)] != holders.acknowledged
            async with asyncio.timeout(PATIENCE_SECONDS):
                while believed(gateway):
                    await asyncio.sleep(0.05)
            assert not following.done()
            for number in holders.acknowledged:
                await holders.link(restored, number)
            assert await holders.linked(restored) == holders.acknowledged
            # A gateway that is started again goes on with what there is.
            again, anew = gateway_mesh(), Line(restored)
            following_anew = asyncio.create_task(HoldersHistory(anew, again).run())
            try:
                await until(lambda: _has_heard(anew, holders), PATIENCE_SECONDS)
                assert believed(again)
            finally:
                following_anew.cancel()
                await asyncio.gather(following_anew, return_exceptions=True)
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def _has_heard(line: Line, holders: Holders) -> bool:
    return line.heard == len(holders.acknowledged)
