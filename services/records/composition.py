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
from services.records.store.protocols.records import RecordStore
from services.records.store.replica import ReplicatedStore
from services.records.store.sqlite.store import SqliteStore
from services.runtime.clock import Clock, system_clock
from services.runtime.rpc.binding import Binding
from services.runtime.rpc.channel import open_channel, remote
from services.runtime.service import Background, Service
from services.runtime.settings.environment import SettingsError
from services.runtime.storage.schema import SchemaError

log = logging.getLogger("hutong.records")

_READ = record_read_service_pb2.DESCRIPTOR.services_by_name["RecordReadService"]
_WRITE = record_write_service_pb2.DESCRIPTOR.services_by_name["RecordWriteService"]
_INTAKE = intake_service_pb2.DESCRIPTOR.services_by_name["RecordIntakeService"]
_FEED = change_feed_service_pb2.DESCRIPTOR.services_by_name["ChangeFeedService"]
_QUALITY = laboratory_quality_service_pb2.DESCRIPTOR.services_by_name["LaboratoryQualityService"]

_CONFLICTS = conflict_service_pb2.DESCRIPTOR.services_by_name["ConflictService"]

FORGET_EVERY = 3600.0


def open_store(settings: Settings, clock: Clock = system_clock) -> RecordStore:
    """The store that `store_url` names; PostgreSQL is reached when first asked. With `store_migrate` it is made, or
    brought up to date, if need be.

    Raises SettingsError for any other scheme, and for a file that is not there, not up to date or of something else;
    Unavailable for a file that cannot be opened.
    """
    url = settings.store_url
    if url.startswith("sqlite:///"):
        path = Path(url.removeprefix("sqlite:///"))
        try:
            return SqliteStore(path, migrates=settings.store_migrate)
        except SchemaError as error:
            raise SettingsError(f"HUTONG_STORE_URL: {url}: {error}") from None
    if url.startswith(("postgresql://", "postgres://")):
        # Its driver is an optional dependency.
        from services.records.store.postgres.store import PostgresStore

        def opened(address: str, *, is_replica: bool) -> PostgresStore:
            return PostgresStore(
                address,
                pool_size=settings.store_pool,
                statement_seconds=settings.statement_timeout,
                migrates=settings.store_migrate and not is_replica,
                is_replica=is_replica,
            )

        original = opened(url, is_replica=False)
        if not settings.read_store_url:
            return original
        return ReplicatedStore(original, opened(settings.read_store_url, is_replica=True), clock)
    raise SettingsError("HUTONG_STORE_URL: begins with sqlite:/// or postgresql://")


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
    store = store or open_store(settings, clock)
    name = settings.region
    followers: list[Follower] = []
    horizon = Completeness(followers, store, clock)
    feed = Feed(name, store, horizon.as_of)
    followers += [Follower(name, region, source, store, feed, clock) for region, source in feeds.items()]
    writer = Writer(name, store, feed, keeps, clock)
    read = ReadServicer(store, Laboratories(store), horizon, keys, clock)
    skew = round(settings.clock_skew * SECOND)
    write = WriteServicer(writer, keys, skew)
    intake = IntakeServicer(store, writer, keys, skew)

    counting = FigureCounter(name, store, store.counts, clock)
    quality = Quality(store, counting)
    quality_servicer = QualityServicer(quality, settings.overdue_hours, clock)

    async def close() -> None:
        for channel in channels:
            await channel.close()
        await store.close()

    background: list[Background] = [*(follower.run for follower in followers), counting.run]
    if name == NATION:
        # The nation sees copies and originals; each region writes its own copies, the nation those it keeps itself.
        store.drives_copies = True
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


async def _forget(store: RecordStore, clock: Clock, kept: float) -> None:
    while True:
        await asyncio.sleep(FORGET_EVERY)
        try:
            await store.forget_answers(Instant(clock() - round(kept * SECOND)))
        except ServiceError as error:
            log.warning("forgetting answers: %s", error)
