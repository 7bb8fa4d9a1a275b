"""Puts the lookup service together: the only module that knows its adapters."""

from collections.abc import Callable, Mapping
from pathlib import Path
from socket import gethostname

from hutong.lookup.v1 import evidence_service_pb2, holder_service_pb2, region_directory_service_pb2

from services.common.documents import PersonKeys
from services.common.instants import Instant
from services.lookup.domain.directory import Directory
from services.lookup.evidence.gatherer import Gatherer
from services.lookup.evidence.identities import SourceIdentities
from services.lookup.evidence.laboratory_tables import LaboratoryTables
from services.lookup.evidence.outages import Outages
from services.lookup.evidence.sources import Sources
from services.lookup.first_contact import FirstContact
from services.lookup.holders.change_feed import HolderFeed
from services.lookup.holders.claims import Claimer
from services.lookup.holders.corrections import Corrections
from services.lookup.holders.proven_intake import ProvenIntake
from services.lookup.identity import OwnIdentity
from services.lookup.ports import CorrectionStore, RecordsIntake, RecordsSource
from services.lookup.servicers.directory import RegionDirectoryServicer
from services.lookup.servicers.evidence import EvidenceServicer
from services.lookup.servicers.holder import HolderServicer, Presenter
from services.lookup.settings import Settings
from services.lookup.store.keyed import KeyedHolderStore
from services.lookup.store.opening import open_checked_store as open_checked_store
from services.lookup.store.opening import open_store
from services.lookup.store.protocol import HolderStore
from services.runtime.audit.process import process_auditor
from services.runtime.clock import system_clock
from services.runtime.rpc.binding import Binding
from services.runtime.rpc.channel import Channels
from services.runtime.rpc.health import Ping
from services.runtime.rpc.person_keys import message_keys
from services.runtime.service import Background, Service
from services.runtime.settings.directory import read_directory
from services.runtime.settings.environment import SettingsError
from services.runtime.settings.secret_file import process_secret
from services.runtime.storage.key_moves import KeyMover, KeyVersions
from services.runtime.tls.identity import principal, store_of
from services.runtime.tls.process import process_files

NAME = "lookup"
PRINCIPAL = principal("mesh/lookup")

EVIDENCE = evidence_service_pb2.DESCRIPTOR.services_by_name["EvidenceService"]
HOLDERS = holder_service_pb2.DESCRIPTOR.services_by_name["HolderService"]
DIRECTORY = region_directory_service_pb2.DESCRIPTOR.services_by_name["RegionDirectoryService"]


def open_presenter(
    settings: Settings,
    gatherer: Gatherer,
    intakes: Mapping[str, RecordsIntake],
    keys: PersonKeys,
    clock: Callable[[], Instant],
) -> Presenter | None:
    """Returns what takes certificates as evidence, None where no signer is trusted. Raises SettingsError for a folder
    that will not do."""
    if not settings.certificate_trust:
        return None
    # Whoever takes no certificates needs none of their libraries.
    from services.certificates.holders import HolderSeal
    from services.certificates.trust_folder import TrustFolder
    from services.lookup.holders.certificates import BelievedCertificates, CertificateKeeper

    try:
        trust = TrustFolder(Path(settings.certificate_trust))
    except (OSError, ValueError) as error:
        raise SettingsError(f"HUTONG_CERTIFICATE_TRUST: {error}") from None
    believed = BelievedCertificates(trust, HolderSeal(settings.mesh_secret, keys))
    return CertificateKeeper(believed, gatherer, intakes, clock)


def build(
    settings: Settings,
    *,
    sources: Mapping[str, RecordsSource] | None = None,
    intakes: Mapping[str, RecordsIntake] | None = None,
    corrections: Mapping[str, CorrectionStore] | None = None,
    store: HolderStore | None = None,
    clock: Callable[[], Instant] = system_clock,
) -> Service:
    """Puts the lookup service together, within a running event loop.

    `sources`, `intakes` and `corrections` name the record stores by region code, the first and last also by "nation";
    what is not given is reached over gRPC where `settings.directory` says. A region without an intake takes no claims.
    Raises ValueError for a source of another name or a store URL of an unknown kind, SettingsError for a store that
    will not do, Unavailable when an SQLite file cannot be opened.
    """
    members = read_directory(settings.directory)
    listed = sources is None
    files = process_files(settings, PRINCIPAL)
    secret = process_secret(settings)
    channels = Channels(NAME, files, message_keys(secret))
    if sources is None:
        sources = {
            name: channels.remote(RecordsSource, member.records, service=f"records {name}", peer=store_of(name))
            for name, member in members.members.items()
        }
    if intakes is None:
        intakes = {
            name: channels.remote(RecordsIntake, member.records, service=f"records {name}", peer=store_of(name))
            for name, member in members.regions.items()
        }

    if corrections is None:
        corrections = {
            name: channels.remote(CorrectionStore, member.records, service=f"records {name}", peer=store_of(name))
            for name, member in members.members.items()
            if name in sources
        }

    directory = Directory(sources, members)
    store = store or open_store(settings, secret)
    versions = KeyVersions(store, secret)
    mover = KeyMover(NAME, versions, store, secret)
    store = KeyedHolderStore(store, versions)
    outages = Outages(store, settings.replica or gethostname(), clock)
    feeds = {name: member.feed for name, member in members.members.items() if member.feed}
    fingerprint = secret.own_fingerprint
    identities = SourceIdentities(sources, fingerprint, feeds)
    version = members.version if settings.directory else ""
    identity = OwnIdentity(store, identities, versions, secret_fingerprint=fingerprint, directory_version=version)
    tables = LaboratoryTables()
    asked = Sources(sources, identities, tables, outages, settings.source_timeout)
    keys = secret.keys
    gatherer = Gatherer(directory, store, asked, tables, outages, settings.source_timeout, clock)
    proven = {
        region: ProvenIntake(intake, region, identities) for region, intake in intakes.items() if region in sources
    }
    presenter = open_presenter(settings, gatherer, proven, keys, clock)
    claimer = Claimer(gatherer, proven)
    carried = Corrections(store, corrections, identities, settings.source_timeout)
    holders = HolderServicer(keys, store, HolderFeed(store, clock), claimer, carried, presenter, identity, clock)

    pings: dict[str, Ping] = {"store": store.ping}
    background: list[Background] = [mover.run]
    if listed:
        contact = FirstContact(sources, identities, members, store)
        pings["members"] = contact.ping
        background.append(contact.run)

    async def close() -> None:
        await asked.close()
        await channels.close()
        await outages.close()
        await store.close()

    return Service(
        NAME,
        [
            Binding(EVIDENCE, EvidenceServicer(keys, gatherer, identity, settings.source_timeout)),
            Binding(HOLDERS, holders),
            Binding(DIRECTORY, RegionDirectoryServicer(directory, identity)),
        ],
        pings=pings,
        background=background,
        close=close,
        files=files,
        auditor=process_auditor(settings, NAME, clock, keys, files),
        secret=secret,
    )
