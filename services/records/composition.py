"""Puts a records service together."""

from collections.abc import Mapping

from hutong.records.v1 import (
    change_feed_service_pb2,
    conflict_service_pb2,
    correction_service_pb2,
    following_service_pb2,
    intake_service_pb2,
    laboratory_quality_service_pb2,
    record_read_service_pb2,
    record_write_service_pb2,
    restoration_service_pb2,
)

from services.common.instants import SECOND
from services.common.regions import NATION
from services.records.identity import OwnIdentity
from services.records.laboratories import Laboratories
from services.records.ports import Copies, Region
from services.records.quality.figure_counter import FigureCounter
from services.records.quality.figures import LaboratoryFigures
from services.records.quality.metrics import QualityMetrics
from services.records.replication.change_feed import ChangeFeed
from services.records.replication.completeness import Completeness
from services.records.replication.copy_sync import CopySync
from services.records.replication.follower import RegionFollower
from services.records.replication.proven_region import ProvenCopies
from services.records.retention.answers import AnswerRetention
from services.records.retention.weighing import EarlierRevisions
from services.records.servicers import (
    ConflictServicer,
    CorrectionServicer,
    FeedServicer,
    FollowingServicer,
    IntakeServicer,
    ProvenWrites,
    QualityServicer,
    ReadServicer,
    RestorationServicer,
    WriteServicer,
)
from services.records.servicers.writer import Writer
from services.records.settings import Settings
from services.records.store.keyed.store import KeyedStore
from services.records.store.opening import open_replica, open_store
from services.records.store.protocols.reads import RecordReads
from services.records.store.protocols.record_store import RecordStore
from services.records.store.replica import ReplicaReads
from services.runtime.audit.process import process_auditor, witness_bindings
from services.runtime.clock import Clock, system_clock
from services.runtime.feeds.commit_signal import CommitSignal
from services.runtime.rpc.binding import Binding
from services.runtime.rpc.channel import Channels
from services.runtime.rpc.health import EitherPing, Ping
from services.runtime.rpc.person_keys import message_keys
from services.runtime.service import Background, Service
from services.runtime.settings.secret_file import process_secret
from services.runtime.storage.key_moves import KeyMover, KeyVersions
from services.runtime.tls.identity import store_of
from services.runtime.tls.process import process_files

_READ = record_read_service_pb2.DESCRIPTOR.services_by_name["RecordReadService"]
_WRITE = record_write_service_pb2.DESCRIPTOR.services_by_name["RecordWriteService"]
_INTAKE = intake_service_pb2.DESCRIPTOR.services_by_name["RecordIntakeService"]
_FEED = change_feed_service_pb2.DESCRIPTOR.services_by_name["ChangeFeedService"]
_RESTORATION = restoration_service_pb2.DESCRIPTOR.services_by_name["RestorationService"]
_FOLLOWING = following_service_pb2.DESCRIPTOR.services_by_name["FollowingService"]
_CONFLICTS = conflict_service_pb2.DESCRIPTOR.services_by_name["ConflictService"]
_CORRECTIONS = correction_service_pb2.DESCRIPTOR.services_by_name["CorrectionService"]
_QUALITY = laboratory_quality_service_pb2.DESCRIPTOR.services_by_name["LaboratoryQualityService"]


_PRIMARY = "primary"


def build(
    settings: Settings,
    *,
    store: RecordStore | None = None,
    replica: RecordStore | None = None,
    clock: Clock = system_clock,
    feeds: Mapping[str, Region] | None = None,
) -> Service:
    """Returns a records service, not yet running.

    `feeds` are the regions to follow, by code, as objects of this process; without them, those in `settings.directory`
    are reached over the wire, which needs a running event loop. Raises SettingsError.
    """
    followed = settings.followed
    keeps = settings.kept_regions(followed if feeds is None else feeds.keys())
    settings.check_secret()
    secret = process_secret(settings)
    keys = secret.keys
    files = process_files(settings, store_of(settings.region))
    channels = Channels(f"records-{settings.region}", files, message_keys(secret))
    regions = feeds
    if regions is None:
        regions = {
            code: channels.remote(Region, member.records, service=f"records-{code}", peer=store_of(code))
            for code, member in followed.items()
        }
    store = store or open_store(settings, secret)
    replica = replica or open_replica(settings, secret)
    versions = KeyVersions(store, secret)
    mover = KeyMover(f"records-{settings.region}", versions, store, secret)
    store = KeyedStore(store, versions)
    if replica is not None:
        replica = KeyedStore(replica, KeyVersions(replica, secret))
    reads: RecordReads = store if replica is None else ReplicaReads(store, replica, clock)
    name = settings.region
    owner = settings.owner()

    signal = CommitSignal()
    followers = [
        RegionFollower(
            name=name,
            region=code,
            source=region,
            secret_fingerprint=owner.secret_fingerprint,
            feed=followed[code].feed if code in followed else "",
            store=store,
            signal=signal,
            clock=clock,
        )
        for code, region in regions.items()
    ]
    identity = OwnIdentity(owner, followers, store, versions, directory_version=settings.directory_version)
    completeness = Completeness(followers, store, clock)
    feed = ChangeFeed(name, store, completeness.as_of)
    writer = Writer(name, store, signal, keeps, clock)
    skew = round(settings.clock_skew * SECOND)
    write = WriteServicer(writer, keys, skew)
    counter = FigureCounter(name, store, store.figures, clock)
    laboratory_figures = LaboratoryFigures(store, counter)

    background: list[Background] = [*(follower.run for follower in followers), counter.run]
    if name == NATION:
        # The nation sees copies and originals; each region writes its own copies, the nation those it keeps itself.
        copies: dict[str, Copies] = dict.fromkeys(keeps, write)
        for follower in followers:
            copies[follower.region] = ProvenCopies(regions[follower.region], follower.expected)
        background.append(CopySync(name, store, signal, copies).run)
    if followers:
        background.append(completeness.run)
    if settings.quality_every:
        metrics = QualityMetrics(
            name,
            laboratory_figures,
            overdue_hours=settings.overdue_hours,
            every=settings.quality_every,
            clock=clock,
        )
        background.append(metrics.run)
    background.append(mover.run)
    background.append(AnswerRetention(store, clock, settings.answers_kept).run)
    background.append(EarlierRevisions(store).run)

    # People are read for as long as either can be asked; all else is the primary's.
    pings: dict[str, Ping] = {"store": store.ping}
    primary = frozenset[str]()
    if replica is not None:
        pings = {"store": EitherPing(replica.ping, store.ping), _PRIMARY: store.ping}
        primary = frozenset([_PRIMARY])

    laboratories = Laboratories(store, reads)
    quality = QualityServicer(laboratory_figures, laboratories, store, settings.overdue_hours, clock)

    async def close() -> None:
        await channels.close()
        if replica is not None:
            await replica.close()
        await store.close()

    return Service(
        name=f"records-{name}",
        bindings=[
            Binding(_READ, ReadServicer(reads, store, laboratories, completeness, identity, keys, clock)),
            Binding(_WRITE, ProvenWrites(write, identity), needs=primary),
            Binding(_INTAKE, IntakeServicer(store, writer, identity, keys, skew), needs=primary),
            Binding(_FEED, FeedServicer(feed, signal, identity, clock), needs=primary),
            Binding(_RESTORATION, RestorationServicer(store, writer, identity), needs=primary),
            Binding(_FOLLOWING, FollowingServicer(followers, writer, identity), needs=primary),
            Binding(_CONFLICTS, ConflictServicer(store, store, writer, identity), needs=primary),
            Binding(_CORRECTIONS, CorrectionServicer(store, writer, identity, keys), needs=primary),
            Binding(_QUALITY, quality, needs=primary),
            *witness_bindings(settings.witness, f"hutong/witness/{name}", clock),
        ],
        pings=pings,
        background=background,
        close=close,
        files=files,
        regions=keeps,
        auditor=process_auditor(settings, f"records-{name}", clock, keys, files),
        secret=secret,
    )
