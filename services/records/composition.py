"""Puts a records service together; the only module here that knows adapters."""

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from hutong.records.v1 import (
    change_feed_service_pb2,
    conflict_service_pb2,
    intake_service_pb2,
    laboratory_quality_service_pb2,
    record_read_service_pb2,
    record_write_service_pb2,
)

from services.common.errors import ServiceError
from services.common.instants import SECOND, Instant
from services.records.laboratories import Laboratories
from services.records.ports import Copies, Region
from services.records.quality.figure_counter import FigureCounter
from services.records.quality.figures import Quality
from services.records.quality.metrics import QualityMetrics
from services.records.replication.change_feed import Feed
from services.records.replication.completeness import Completeness
from services.records.replication.copy_sync import CopySync
from services.records.replication.follower import Follower
from services.records.servicers import (
    ConflictServicer,
    FeedServicer,
    IntakeServicer,
    QualityServicer,
    ReadServicer,
    WriteServicer,
)
from services.records.servicers.writer import Writer
from services.records.settings import NATION, Settings
from services.records.store.protocols.intake_sessions import AnswerLog
from services.records.store.protocols.reads import RecordReads
from services.records.store.protocols.record_store import RecordStore
from services.records.store.replica import ReplicaReads
from services.records.store.sqlite.file import holds_records
from services.records.store.sqlite.store import SqliteStore
from services.runtime.clock import Clock, system_clock
from services.runtime.rpc.binding import Binding
from services.runtime.rpc.channel import open_channel, remote
from services.runtime.service import Background, Service
from services.runtime.settings.environment import SettingsError
from services.runtime.storage.migrations import SchemaError

log = logging.getLogger("hutong.records")

_READ = record_read_service_pb2.DESCRIPTOR.services_by_name["RecordReadService"]
_WRITE = record_write_service_pb2.DESCRIPTOR.services_by_name["RecordWriteService"]
_INTAKE = intake_service_pb2.DESCRIPTOR.services_by_name["RecordIntakeService"]
_FEED = change_feed_service_pb2.DESCRIPTOR.services_by_name["ChangeFeedService"]
_QUALITY = laboratory_quality_service_pb2.DESCRIPTOR.services_by_name["LaboratoryQualityService"]

_CONFLICTS = conflict_service_pb2.DESCRIPTOR.services_by_name["ConflictService"]

FORGET_EVERY = 3600.0


def open_store(settings: Settings, *, is_there: bool = False) -> RecordStore:
    """Opens the store that `store_url` names; PostgreSQL is reached when first asked. A file that is not there is made,
    unless `is_there` says that it should be.

    Raises SettingsError for any other scheme, for a file that is ahead of this program, and for one that should be
    there and is not, or is no store of records; Unavailable for a file that cannot be opened.
    """
    url = settings.store_url
    if url.startswith("sqlite:///"):
        path = Path(url.removeprefix("sqlite:///"))
        if is_there and not holds_records(path):
            raise SettingsError(f"{url}: 没有记录库 / there is no store of records")
        try:
            return SqliteStore(path, drives_copies=settings.region == NATION)
        except SchemaError as error:
            raise SettingsError(f"HUTONG_STORE_URL: {url}: {error}") from None
    if url.startswith(("postgresql://", "postgres://")):
        # Its driver is an optional dependency.
        from services.records.store.postgres.store import PostgresStore

        return PostgresStore(
            url,
            pool_size=settings.store_pool,
            statement_seconds=settings.statement_timeout,
            migrates=settings.store_migrate,
            drives_copies=settings.region == NATION,
        )
    raise SettingsError("HUTONG_STORE_URL: begins with sqlite:/// or postgresql://")


def open_replica(settings: Settings) -> RecordStore | None:
    """Opens the replica that `read_store_url` names, when first asked; None where it names none."""
    if not settings.read_store_url:
        return None
    from services.records.store.postgres.store import PostgresStore

    return PostgresStore(
        settings.read_store_url,
        pool_size=settings.store_pool,
        statement_seconds=settings.statement_timeout,
        is_replica=True,
    )


async def open_checked_store(settings: Settings) -> RecordStore:
    """The same, after a look at its tables. Raises SettingsError also when they are not up to date; a database that
    cannot be asked yet is no reason not to start."""
    if not settings.store_url.startswith("sqlite:") and not settings.store_migrate:
        from services.records.store.postgres.store import PostgresStore

        looking = PostgresStore(settings.store_url, pool_size=1, statement_seconds=settings.statement_timeout)
        try:
            await looking.check_schema()
        except SchemaError as error:
            raise SettingsError(f"HUTONG_STORE_URL: {error}") from None
        finally:
            await looking.close()
    return open_store(settings)


def build(
    settings: Settings,
    *,
    store: RecordStore | None = None,
    replica: RecordStore | None = None,
    clock: Clock = system_clock,
    feeds: Mapping[str, Region] | None = None,
) -> Service:
    """A records service, not yet running.

    `feeds` are the regions to follow, by code, as objects of this process; without them, those of `settings.follow`
    are reached over the wire, which needs a running event loop. Raises SettingsError.
    """
    keeps = settings.kept_regions(settings.follow if feeds is None else feeds.keys())
    keys = settings.person_keys()
    channels = []
    if feeds is None:
        remotes: dict[str, Any] = {}
        for region, target in settings.follow.items():
            channel = open_channel(target)
            channels.append(channel)
            remotes[region] = remote(f"records-{region}", f"records-{settings.region}", channel, [_FEED, _READ, _WRITE])
        feeds = remotes
    if store is None:
        store = open_store(settings)
    if replica is None:
        replica = open_replica(settings)
    reads: RecordReads = store if replica is None else ReplicaReads(store, replica, clock)
    name = settings.region
    followers: list[Follower] = []
    horizon = Completeness(followers, store, clock)
    feed = Feed(name, store, horizon.as_of)
    followers += [Follower(name, region, source, store, feed, clock) for region, source in feeds.items()]
    writer = Writer(name, store, feed, keeps, clock)
    read = ReadServicer(reads, store, Laboratories(store, reads), horizon, keys, clock)
    skew = round(settings.clock_skew * SECOND)
    write = WriteServicer(writer, keys, skew)
    intake = IntakeServicer(store, writer, keys, skew)

    counting = FigureCounter(name, store, store.figures, clock)
    quality = Quality(store, counting)
    quality_servicer = QualityServicer(quality, settings.overdue_hours, clock)

    async def close() -> None:
        for channel in channels:
            await channel.close()
        if replica is not None:
            await replica.close()
        await store.close()

    background: list[Background] = [*(follower.run for follower in followers), counting.run]
    if name == NATION:
        # The nation sees copies and originals; each region writes its own copies, the nation those it keeps itself.
        own = dict.fromkeys(keeps, cast(Copies, write))
        background.append(CopySync(name, store, feed, {**own, **feeds}).run)
    if followers:
        background.append(horizon.run)
    if settings.quality_every:
        metrics = QualityMetrics(name, quality, settings.overdue_hours, settings.quality_every, clock)
        background.append(metrics.run)
    return Service(
        name=f"records-{name}",
        bindings=[
            Binding(_READ, read),
            Binding(_WRITE, write),
            Binding(_INTAKE, intake),
            Binding(_FEED, FeedServicer(feed)),
            Binding(_CONFLICTS, ConflictServicer(store, writer)),
            Binding(_QUALITY, quality_servicer),
        ],
        pings={"store": store.ping},
        background=[*background, lambda: _forget(store, clock, settings.answers_kept)],
        close=close,
    )


async def _forget(store: AnswerLog, clock: Clock, kept: float) -> None:
    while True:
        await asyncio.sleep(FORGET_EVERY)
        try:
            await store.forget_answers(Instant(clock() - round(kept * SECOND)))
        except ServiceError as error:
            log.warning("forgetting answers: %s", error)
