"""Supervision's store is backed up while gateways count, lost, and restored; and it moves while they count."""

import asyncio
from argparse import Namespace
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.supervision.outcomes import Measure
from gateway.supervision.store.opening import open_store
from gateway.supervision.store.protocol import SupervisionStore
from gateway.supervision.store.schemas import SCHEMAS
from gateway.supervision.store.values import KeptRefusal, Mark, Place
from services.common.errors import ServiceError
from services.common.instants import Instant
from services.runtime.settings.environment import SettingsError
from services.runtime.storage.backup_command import dated, delete_older
from services.runtime.storage.move.command import run as run_move
from tests.testkit.servers.backups import BackedUp, backed_up
from tests.testkit.servers.postgres import PostgresServer
from tests.testkit.servers.store_urls import sqlite_url

MESH = b"mesh 001"
DAY = 20_000


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
async def lost(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[BackedUp]:
    """Returns the store that will be lost, on each engine."""
    async with backed_up(request.param, tmp_path, "supervision") as store:
        yield store


def opened(url: str, *, migrates: bool = False) -> SupervisionStore:
    """Returns the store at a URL, as a gateway opens it."""
    store = open_store(url, MESH, migrates=migrates)
    assert store is not None
    return store


def of_person(number: int) -> tuple[Mark, KeptRefusal]:
    """Returns what a gateway writes when one person is refused."""
    at = Instant(1_700_000_000_000_000 + number)
    key, policy = number.to_bytes(16), b"h" * 32
    mark = Mark(key, DAY + 1, DAY, "110000", 0, Measure.REFUSED)
    refusal = KeptRefusal(key, DAY, key, "110000", 0, 2, 2, 2, at, at, at, "P1", policy, at, "NO_EVIDENCE", "")
    return mark, refusal


async def count(store: SupervisionStore, first: int, last: int) -> None:
    """Counts people, one by one."""
    for number in range(first, last):
        mark, refusal = of_person(number)
        await store.add([mark], [refusal])


async def counted(store: SupervisionStore) -> tuple[int, list[int]]:
    """Returns the figure, and the people whose refusal is kept."""
    figure = sum(cell.number for cell in await store.figures("", DAY, DAY, Place(0, "", -1), 100))
    refusals = await store.refusals("", DAY, DAY, (Instant(2**62), b""), 10_000)
    return figure, sorted(int.from_bytes(one.refusal_id) for one in refusals)


async def test_restored_while_gateways_count(lost: BackedUp) -> None:
    """All that was counted before the backup is there, figure and refusals of one moment; and who was counted before is
    not counted again."""
    store = opened(lost.url, migrates=True)
    await count(store, 0, 20)
    backup = asyncio.create_task(lost.back_up())
    people = 20
    while not backup.done():
        await count(store, people, people + 1)
        people += 1
        await asyncio.sleep(0.02)
    await backup
    await count(store, people, people + 5)
    people += 5
    await store.close()
    store = opened(await lost.restore())
    try:
        figure, refused = await counted(store)
        assert (figure, refused) == (len(refused), list(range(figure)))
        assert 20 <= figure <= people
        await count(store, 0, people)
        assert (people, list(range(people))) == await counted(store)
    finally:
        await store.close()


@pytest.mark.parametrize("to_file", [False, True], ids=["to a database", "to a file"])
async def test_moved_while_gateways_count(
    to_file: bool, tmp_path: Path, postgres_server: PostgresServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """Everything that was acknowledged is in the new store, once; the old one takes nothing more and says so; whoever
    was counted in it is not counted again in the new one."""
    old = await postgres_server.create_database() if to_file else sqlite_url(tmp_path, "old")
    new = sqlite_url(tmp_path, "new") if to_file else await postgres_server.create_database()
    store = opened(old, migrates=True)
    await count(store, 0, 30)
    arguments = Namespace(store_url=old, to=new, copy_only=False, whole=False, abandon=False)
    move = asyncio.create_task(asyncio.to_thread(run_move, SCHEMAS, arguments))
    people, reasons = 30, set[str]()
    while not move.done():
        try:
            await count(store, people, people + 1)
        except ServiceError as error:
            # As the recorder does, which keeps what it could not write.
            reasons.add(error.reason)
        else:
            people += 1
        await asyncio.sleep(0.01)
    assert await move == 0, capsys.readouterr().err
    assert reasons <= {"STORE_MOVING", "STORE_UNAVAILABLE"}
    with pytest.raises(ServiceError):
        await count(store, people, people + 1)
    await store.close()
    with pytest.raises((SettingsError, ServiceError)):
        await counted(opened(old))
    store = opened(new)
    try:
        assert (people, list(range(people))) == await counted(store)
        await count(store, 0, people + 1)
        assert people + 1 == (await counted(store))[0]
    finally:
        await store.close()


def test_a_folder_keeps_its_newest_backups(tmp_path: Path) -> None:
    """And whatever else is in it."""
    now = datetime(2022, 8, 5, 18, tzinfo=UTC)
    backups = [dated(tmp_path, now - timedelta(days=day)) for day in range(5)]
    others = [tmp_path / "records.db", tmp_path / "20220805T180000Z.backup.partial"]
    for path in (*backups, *others):
        path.touch()
    delete_older(tmp_path, 2)
    assert {*backups[:2], *others} == set(tmp_path.iterdir())
    assert "20220805T180000Z.backup" == backups[0].name
