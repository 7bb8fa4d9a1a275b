"""A follower takes nothing from another store than was meant, and nobody is judged the milder for it."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hutong.records.v1 import following_service_pb2 as fpb
from hutong.records.v1.record_pb2 import RevisionAction, TestResult

from services.common.errors import ServiceError
from services.common.identities import secret_fingerprint
from services.records.replication import follower as following
from services.records.settings import Settings
from services.records.store.opening import open_store
from services.runtime.feeds.commit_signal import CommitSignal
from services.runtime.settings.environment import SettingsError
from tests.testkit.builders.records import KEEP, person, result
from tests.testkit.clocks import ManualClock
from tests.testkit.secret import SECRET
from tests.testkit.servers.records_service import Records, caught_up, nation, opened
from tests.testkit.servers.store_urls import sqlite_url
from tests.testkit.waiting import until

POSITIVE = result(outcome=TestResult.TEST_RESULT_POSITIVE)
RETRACTED = RevisionAction.REVISION_ACTION_RETRACTED
SICK = person(1)


@asynccontextmanager
async def region(directory: Path, name: str, code: str = "430000", secret: str = SECRET) -> AsyncIterator[Records]:
    """A region's service over one of its files, which is made where it is not there."""
    store = open_store(
        Settings(region=code, mesh_secret=secret, store_url=sqlite_url(directory, name), store_migrate=True)
    )
    try:
        records = Records(store, ManualClock(), code, secret=secret)
        yield records
    finally:
        await store.close()


@asynccontextmanager
async def followed(store: Any, regions: Mapping[str, Any]) -> AsyncIterator[Records]:
    """The nation, following what is reached in the regions' place."""
    whole = nation(store, dict(regions))
    async with whole.service.running():
        yield whole


async def state(whole: Records, code: str = "430000") -> fpb.FollowedRegion:
    """Returns the state of following a region."""
    response: fpb.ListFollowedRegionsResponse = await whole.calls.ListFollowedRegions(fpb.ListFollowedRegionsRequest())
    [one] = [region for region in response.regions if region.region == code]
    return one


async def known(whole: Records) -> list[tuple[int, bool]]:
    """Returns what the nation has of the person: revision, and if it is positive and stands."""
    return [
        (record.revision, record.content.result == POSITIVE.result and record.action != RETRACTED)
        for record in await whole.of(SICK)
    ]


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Followers try again soon."""
    monkeypatch.setattr(following, "LONGEST_WAIT", 0.1)


@asynccontextmanager
async def acquainted(directory: Path, url: str) -> AsyncIterator[Any]:
    """The nation's store, in which the region's positive is known."""
    async with opened(url, "nation") as store:
        async with region(directory, "right") as hunan:
            await hunan.submit("X1", SICK, POSITIVE)
            async with followed(store, {"430000": hunan.calls}) as whole:
                await caught_up(whole, hunan)
        yield store


@pytest.mark.parametrize(
    ("name", "code", "secret", "reason"),
    [
        ("other-region", "110000", SECRET, "WRONG_STORE"),
        ("other-secret", "430000", "another secret, long enough", "OTHER_SECRET"),
        ("empty", "430000", SECRET, "FEED_CHANGED"),
    ],
)
async def test_nothing_is_taken_from_another_store(
    tmp_path: Path, nation_url: str, name: str, code: str, secret: str, reason: str
) -> None:
    """What it says is not used, what is known stays in force, the region is behind, and the reason is there to see."""
    async with acquainted(tmp_path, nation_url) as store, region(tmp_path, name, code, secret) as wrong:
        await wrong.submit("X2", SICK, result(), region=code)
        before = await store.cursors()
        async with followed(store, {"430000": wrong.calls}) as whole:

            async def refused() -> bool:
                return (await state(whole)).reason == reason

            await until(refused)
            stands = await state(whole)
            assert (stands.state, stands.feed_id) == (fpb.FOLLOWED_STATE_REFUSED, before["430000"].feed_id)
            assert bool(stands.met_feed_id) == (reason == "FEED_CHANGED")
            assert await known(whole) == [(1, True)]
            whole.clock.forward(10)
            assert list((await whole.batch([SICK])).behind) == ["430000"]
            assert (await store.cursors()) == before


async def test_an_emptied_region_is_rebuilt_when_somebody_says_so(tmp_path: Path, nation_url: str) -> None:
    """A store made anew by mistake or on purpose: the nation keeps everything and, once told that it is so, gives it
    all back."""
    async with (
        acquainted(tmp_path, nation_url) as store,
        region(tmp_path, "empty") as hunan,
        followed(store, {"430000": hunan.calls}) as whole,
    ):

        async def met() -> bool:
            return (await state(whole)).met_feed_id != ""

        await until(met)
        assert await known(whole) == [(1, True)]
        assert await hunan.of(SICK) == []
        feed_id = (await hunan.store.head()).feed_id
        accept = fpb.AcceptFeedRequest(region="430000", feed_id="another", cause="new disk", purpose=KEEP)
        with pytest.raises(ServiceError) as caught:
            await whole.calls.AcceptFeed(accept)
        assert caught.value.reason == "FEED_NOT_MET"
        accept.store.region = "430000"
        with pytest.raises(ServiceError) as caught:
            await whole.calls.AcceptFeed(accept)
        assert caught.value.reason == "WRONG_STORE"
        accept.store.region = "nation"
        accept.feed_id = feed_id
        await whole.calls.AcceptFeed(accept)
        await caught_up(whole, hunan)
        assert await known(whole) == [(1, True)]
        [given] = await hunan.of(SICK)
        assert given == (await whole.of(SICK))[0]
        await until(lambda: _is(whole, fpb.FOLLOWED_STATE_FOLLOWED))


async def _is(whole: Records, expected: fpb.FollowedState.ValueType) -> bool:
    return (await state(whole)).state == expected


async def test_the_directory_says_which_feed_is_the_region_s(tmp_path: Path, nation_url: str) -> None:
    """A region that is met for the first time must have the feed that the directory names; and a new one that it names
    needs no other word."""

    def follower(store: Any, source: Any, feed: str) -> following.RegionFollower:
        return following.RegionFollower(
            name="nation",
            region="430000",
            source=source,
            secret_fingerprint=secret_fingerprint(SECRET.encode()),
            feed=feed,
            store=store,
            signal=CommitSignal(),
            clock=ManualClock(),
        )

    async with region(tmp_path, "right") as right, opened(sqlite_url(tmp_path, "fresh"), "nation") as fresh:
        one = follower(fresh, right.calls, "another")
        task = asyncio.create_task(one.run())

        async def refused() -> bool:
            return one.refusal is not None and one.refusal.reason == "FEED_CHANGED"

        await until(refused)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert await fresh.cursors() == {}
    async with acquainted(tmp_path, nation_url) as store, region(tmp_path, "empty") as hunan:
        feed_id = (await hunan.store.head()).feed_id
        task = asyncio.create_task(follower(store, hunan.calls, feed_id).run())

        async def given_back() -> bool:
            return len(await hunan.of(SICK)) == 1

        await until(given_back)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert (await store.cursors())["430000"].feed_id == feed_id


async def test_two_stores_behind_one_name_are_noticed(tmp_path: Path, nation_url: str) -> None:
    """A store scaled to two, each with a file of its own: what the second says is not taken for the first's."""
    async with (
        acquainted(tmp_path, nation_url) as store,
        region(tmp_path, "right") as first,
        region(tmp_path, "second") as second,
    ):
        async with followed(store, {"430000": second.calls}) as whole:
            await until(lambda: _reason(whole, "FEED_CHANGED"))
            assert await known(whole) == [(1, True)]
        async with followed(store, {"430000": first.calls}) as whole:
            await caught_up(whole, first)
            await until(lambda: _reason(whole, ""))


async def _reason(whole: Records, reason: str) -> bool:
    return (await state(whole)).reason == reason


@pytest.mark.parametrize(
    ("code", "secret", "sentence"),
    [("110000", SECRET, "belongs to 430000"), ("430000", "another secret, long enough", "HUTONG_MESH_SECRET")],
)
async def test_a_store_refuses_another_owner(tmp_path: Path, code: str, secret: str, sentence: str) -> None:
    """In one sentence, and nothing is changed; its own may open it again."""
    async with region(tmp_path, "right") as hunan:
        await hunan.submit("X1", SICK, POSITIVE)
    with pytest.raises(SettingsError, match=sentence):
        async with region(tmp_path, "right", code, secret):
            pass
    async with region(tmp_path, "right") as hunan:
        assert len(await hunan.of(SICK)) == 1


async def test_a_store_of_before_is_not_taken_over_by_another_region(tmp_path: Path) -> None:
    """A file in which it was never noted whose it is tells it by its records."""
    async with region(tmp_path, "right") as hunan:
        await hunan.submit("X1", SICK, POSITIVE)
    with sqlite3.connect(tmp_path / "right.db") as file:
        file.execute("delete from store_owner")
    with pytest.raises(SettingsError, match="records of 430000"):
        async with region(tmp_path, "right", "110000"):
            pass
    async with region(tmp_path, "right"):
        pass


async def test_a_file_is_served_by_one_alone(tmp_path: Path) -> None:
    """The second is told who has it; when that one is gone, it may."""
    async with region(tmp_path, "right"):
        with pytest.raises(SettingsError, match=r"another process serves this file .*pid"):
            async with region(tmp_path, "right"):
                pass
    async with region(tmp_path, "right"):
        await asyncio.sleep(0)
