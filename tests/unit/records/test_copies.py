"""Copies that become due are looked at at once, in whatever moment they do."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from services.records.domain.revisions import RecordId
from services.records.replication import copy_sync
from services.records.replication.copy_sync import CopySync
from services.records.store.values.feed import DueCopy
from services.runtime.feeds.commit_signal import CommitSignal

REGION = "110000"


class Late:
    """A store in which a copy becomes due while the n-th question is under way, too late for its answer."""

    def __init__(self, at: int) -> None:
        self.signal = CommitSignal()
        self.due: list[DueCopy] = []
        self.done = asyncio.Event()
        self._left = at

    async def due_copies(self, regions: Sequence[str], most: int) -> Sequence[DueCopy]:
        """Returns the copies that were due when it was asked."""
        found = [copy for copy in self.due if copy.id.region in regions]
        self._left -= 1
        if not self._left:
            self.due = [DueCopy(RecordId(REGION, "C1"), 1)]
            self.signal.committed()
        await asyncio.sleep(0)
        return found

    async def history(self, record_id: RecordId) -> Sequence[bytes]:
        """None: there is nothing to do."""
        return ()

    async def copies_done(self, done: Sequence[DueCopy]) -> None:
        """Tells the test."""
        self.due = [copy for copy in self.due if copy not in done]
        if done[0].id.source_id == "C1":
            self.done.set()


@pytest.mark.parametrize("at", [1, 2, 3, 4])
async def test_nothing_due_waits_for_the_next_look(monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """Due while the keeper looks, while it begins to work for the region, and while that work ends."""
    monkeypatch.setattr(copy_sync, "IDLE_SECONDS", 60.0)
    store = Late(at)
    if at > 1:
        store.due = [DueCopy(RecordId(REGION, "C0"), 1)]
    keeper: Any = CopySync("nation", store, store.signal, {REGION: object()})  # type: ignore[arg-type, dict-item]
    task = asyncio.create_task(keeper.run())
    try:
        await asyncio.wait_for(store.done.wait(), 5)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class Many:
    """A store with a hundred copies due, one of which cannot be compared; counts who is under way at once."""

    def __init__(self) -> None:
        self.signal = CommitSignal()
        self.due = [DueCopy(RecordId(REGION, f"C{n}"), n) for n in range(100)]
        self.most = 0
        self._here = 0

    async def due_copies(self, regions: Sequence[str], most: int) -> Sequence[DueCopy]:
        """The oldest."""
        return self.due[:most] if REGION in regions else ()

    async def history(self, record_id: RecordId) -> Sequence[bytes]:
        """None, after a while; of the first an error."""
        self._here += 1
        self.most = max(self.most, self._here)
        await asyncio.sleep(0)
        self._here -= 1
        if record_id.source_id == "C0":
            raise ValueError("a copy that cannot be read")
        return ()

    async def copies_done(self, done: Sequence[DueCopy]) -> None:
        """They are due no more."""
        self.due = [copy for copy in self.due if copy not in done]


async def test_a_look_that_fails_is_not_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever goes wrong in the store, the keeper looks again."""
    monkeypatch.setattr(copy_sync, "IDLE_SECONDS", 0.01)
    store = Late(2)
    look = store.due_copies

    async def failing(regions: Sequence[str], most: int) -> Sequence[DueCopy]:
        monkeypatch.setattr(store, "due_copies", look)
        raise ValueError("a row that cannot be read")

    monkeypatch.setattr(store, "due_copies", failing)
    keeper: Any = CopySync("nation", store, store.signal, {REGION: object()})  # type: ignore[arg-type, dict-item]
    task = asyncio.create_task(keeper.run())
    try:
        async with asyncio.timeout(5):
            await store.done.wait()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_one_copy_holds_up_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Copies of a region are compared side by side, and all but the one that cannot be are done."""
    monkeypatch.setattr(copy_sync, "RETRY_SECONDS", 60.0)
    store = Many()
    keeper: Any = CopySync("nation", store, store.signal, {REGION: object()})  # type: ignore[arg-type, dict-item]
    task = asyncio.create_task(keeper.run())
    try:
        async with asyncio.timeout(5):
            while len(store.due) > 1:
                await asyncio.sleep(0.001)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert [DueCopy(RecordId(REGION, "C0"), 0)] == store.due
    assert copy_sync.ABREAST == store.most
