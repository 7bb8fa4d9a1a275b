"""Puts the gateway together. The only module that knows which cache there is."""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hutong.common.v1.subject_pb2 import DocumentType, Purpose
from hutong.gateway.v1 import health_code_service_pb2, push_service_pb2, supervision_service_pb2

from gateway.application.accesses import Accesses
from gateway.application.admission import Admission
from gateway.application.application import Application
from gateway.application.first_contact import FirstContact
from gateway.application.proven_lookup import ProvenLookup
from gateway.application.readiness import Probe
from gateway.application.samples import SampleDependant, SamplePerson
from gateway.certificates.certificates import Certificates, CertificateSources
from gateway.certificates.signers import SignerFolder
from gateway.codes.cache.entry import BOUND_SECONDS
from gateway.codes.cache.memory import MemoryCache
from gateway.codes.cache.protocol import HOLDERS, VerdictCache
from gateway.codes.codes import Codes
from gateway.codes.policy_digests import PolicyDigests
from gateway.codes.single_flight import SingleFlight
from gateway.codes.verdict_client import VerdictClient
from gateway.grpc.push import PushServicer
from gateway.grpc.servicer import HealthCodeServicer
from gateway.grpc.supervision import SupervisionServicer
from gateway.http.api import api_routes
from gateway.http.app import HttpApplication, Pipelines
from gateway.http.push.routes import push_routes
from gateway.http.supervision.routes import supervision_routes
from gateway.http.views.code import code_body
from gateway.identity.callers import Callers, TokenPeers
from gateway.identity.development import DevelopmentIssuer
from gateway.identity.opening import open_identities
from gateway.load.optional_parts import OptionalParts
from gateway.load.weights import HEAVY, HEAVY_PURPOSES
from gateway.mesh_identity import MeshIdentity
from gateway.news.holders_history import HoldersHistory
from gateway.news.sources import HoldersNews, NewsSource, RecordsNews
from gateway.news.updater import CacheUpdater
from gateway.pages.routes import page_routes
from gateway.pages.sign_in import sign_in_routes
from gateway.passes.keys import PassKeyFile, kept_pass_keys
from gateway.passes.passes import Passes, PassSources
from gateway.passes.voids import Voids
from gateway.ports import ChangeFeed, Evidence, HolderFeed, Holders, Policies, Regions, SupervisedStore, VerdictSource
from gateway.push.news import PushNews
from gateway.push.opening import open_push
from gateway.push.sender import PushSender
from gateway.push.subscriptions import PushSubscriptions
from gateway.settings import GatewaySettings
from gateway.supervision.recorder import Recorder
from gateway.supervision.store.opening import open_store
from gateway.supervision.supervision import Supervision
from services.certificates.holders import HolderSeal
from services.certificates.trust_folder import TrustFolder
from services.common import mesh_secret
from services.common.documents import PersonKeys
from services.common.errors import Text
from services.common.regions import NATION
from services.runtime.access.guard import TableGuard
from services.runtime.access.persons import NamedPersons
from services.runtime.audit.process import process_auditor
from services.runtime.clock import Clock, system_clock
from services.runtime.limits.buckets import SharedBuckets
from services.runtime.limits.limiter import Limiter
from services.runtime.limits.process import process_limiter
from services.runtime.resilience.circuit import SharedCircuit
from services.runtime.resilience.overload import Overload
from services.runtime.rpc.access import NamedCallers
from services.runtime.rpc.addresses import Addresses
from services.runtime.rpc.binding import Binding
from services.runtime.rpc.peers import NamedPeers, ProvenPeers
from services.runtime.rpc.pipeline import Pipeline
from services.runtime.rpc.security import Security
from services.runtime.service import Service, access_table
from services.runtime.settings.environment import SettingsError
from services.runtime.settings.secret_file import SecretFile, process_secret
from services.runtime.telemetry.trace import Traces, asked_at_most
from services.runtime.tls.credentials import server_credentials
from services.runtime.tls.files import TlsFiles

log = logging.getLogger("hutong.gateway")

NAME = "gateway"
_CONTRACT = health_code_service_pb2.DESCRIPTOR.services_by_name["HealthCodeService"]
_SUPERVISION = supervision_service_pb2.DESCRIPTOR.services_by_name["SupervisionService"]
_PUSH = push_service_pb2.DESCRIPTOR.services_by_name["PushService"]
_DEFAULT_PURPOSES = (
    {
        f"{_CONTRACT.full_name}/{method}": Purpose.PURPOSE_HOLDER_DECISION
        for method in ("ClaimResult", "SwitchScope", "RequestCorrection", "PresentCertificate")
    }
    | dict.fromkeys(
        (f"{_PUSH.full_name}/PutPushSubscription", f"{_PUSH.full_name}/DeletePushSubscription"),
        Purpose.PURPOSE_HOLDER_DECISION,
    )
    | dict.fromkeys(
        (
            f"{_SUPERVISION.full_name}/ListRefusals",
            f"{_SUPERVISION.full_name}/ReopenRefusal",
            "hutong.records.v1.ConflictService/ListConflicts",
            "hutong.records.v1.ConflictService/SettleConflict",
            "hutong.records.v1.CorrectionService/RequestResult",
        ),
        Purpose.PURPOSE_SUPERVISION,
    )
)


@dataclass(frozen=True, slots=True)
class Gateway:
    """The gateway, ready to run: `service` over gRPC, with its background work, and `app` over HTTP (ASGI)."""

    service: Service
    app: HttpApplication
    application: Application
    """What both transports ask."""
    traces: Traces
    """Makes the trace of a request, over either transport."""
    security: Security
    """How callers over gRPC are known."""
    development: DevelopmentIssuer | None
    """The issuer of a mesh on this machine alone."""
    overload: Overload
    """Counts what is under way, over both."""


def open_cache(
    settings: GatewaySettings, feeds: Sequence[str], clock: Clock, redis_circuit: SharedCircuit
) -> VerdictCache:
    """Opens the cache the settings name; `redis_circuit` is that of all uses of its Redis. Redis's driver is needed
    only where there is a Redis."""
    if not settings.redis_url:
        return MemoryCache(settings.cache_entries, settings.cache_bytes)
    from gateway.codes.cache.redis import RedisCache

    return RedisCache(
        settings.redis_url, feeds=feeds, clock=clock, timeout=settings.redis_timeout, circuit=redis_circuit
    )


def open_limiter(settings: GatewaySettings, fingerprint: bytes, redis_circuit: SharedCircuit) -> Limiter | None:
    """Returns what bounds how much one caller asks, in the Redis that the settings name, all uses of which have
    `redis_circuit`. Raises SettingsError."""
    shared: SharedBuckets | None = None
    if settings.redis_url:
        from services.runtime.storage.redis.token_buckets import RedisBuckets

        shared = RedisBuckets(
            settings.redis_url, salt=fingerprint, timeout=settings.redis_timeout, circuit=redis_circuit
        )
    return process_limiter(settings, shared)


def open_pass_keys(settings: GatewaySettings) -> PassKeyFile | None:
    """Returns the keys of passes, None where there are none. Raises SettingsError for a key that will not do."""
    name = "HUTONG_PASS_KEY" if settings.pass_key else "HUTONG_DEVELOPMENT"
    try:
        if settings.pass_key:
            return PassKeyFile(Path(settings.pass_key))
        if settings.development:
            return PassKeyFile(kept_pass_keys(Path(settings.development)))
    except (OSError, ValueError) as error:
        raise SettingsError(f"{name}: {error}") from None
    log.warning("no pass key: passes are not issued")
    return None


def open_certificates(settings: GatewaySettings, names: Mapping[bytes, Text], keys: PersonKeys) -> CertificateSources:
    """Returns the means to issue and to believe certificates. Raises SettingsError for a folder that will not do."""
    name = "HUTONG_CERTIFICATE_SIGNERS"
    try:
        signers = SignerFolder(Path(settings.certificate_signers)) if settings.certificate_signers else None
        name = "HUTONG_CERTIFICATE_TRUST"
        trust = TrustFolder(Path(settings.certificate_trust)) if settings.certificate_trust else None
    except (OSError, ValueError) as error:
        raise SettingsError(f"{name}: {error}") from None
    return CertificateSources(signers, trust, HolderSeal(settings.mesh_secret, keys), names)


def _names(people: Sequence[SamplePerson] | None, keys: PersonKeys) -> Mapping[bytes, Text]:
    # A dependant, whom a guardian shows, has a name too.
    named: list[SamplePerson | SampleDependant] = [*(people or ())]
    named += [dependant for one in people or () for dependant in one.dependants]
    return {
        keys.of_number(DocumentType.Value(f"DOCUMENT_TYPE_{one.document.type}"), one.document.number): one.name
        for one in named
    }


def build(
    settings: GatewaySettings,
    *,
    verdict: VerdictSource,
    evidence: Evidence,
    holders: Holders,
    holder_feed: HolderFeed,
    regions: Regions,
    news: ChangeFeed,
    policies: Policies,
    region_news: Mapping[str, ChangeFeed] | None = None,
    stores: Mapping[str, SupervisedStore] | None = None,
    directory_version: str = "",
    sample_people: Sequence[SamplePerson] | None = None,
    cache: VerdictCache | None = None,
    clock: Clock = system_clock,
    close: Callable[[], Awaitable[None]] | None = None,
    files: TlsFiles | None = None,
    secret: SecretFile | None = None,
) -> Gateway:
    """Builds a gateway over these ports.

    `news` is the nation's change feed, `region_news` those of regions whose own changes are to reach the cache
    directly; `policies` and `stores`, by region and "nation", are what supervisors are told of; `directory_version`
    names the list of members; `sample_people` are shown by the embedded mesh and only there. The gateway closes a cache
    it opened itself or was given, then calls `close`. Raises ValueError when the mesh's secret is too short or the
    bound on news too long, and SettingsError for a store of supervision that will not do.
    """
    if not 0 < settings.news_seconds <= BOUND_SECONDS:
        raise ValueError(f"HUTONG_NEWS_SECONDS: more than 0 and at most {BOUND_SECONDS:g}")
    secret = secret or process_secret(settings)
    fingerprint = secret.own_fingerprint
    mesh = MeshIdentity(fingerprint, directory_version)
    nation = RecordsNews(NATION, news, clock, mesh, secret_fingerprint=fingerprint)
    holders_news = HoldersNews(holder_feed, clock, mesh)
    sources: list[NewsSource] = [nation, holders_news]
    for region, feed in (region_news or {}).items():
        sources.append(RecordsNews(region, feed, clock, mesh, secret_fingerprint=fingerprint))
    feeds = tuple(source.name for source in sources)
    redis_circuit = SharedCircuit()
    if cache is None:
        cache = open_cache(settings, feeds, clock, redis_circuit)
    digests = PolicyDigests(verdict)
    verdicts = VerdictClient(verdict, mesh, clock, seconds=settings.compute_seconds)
    single_flight = SingleFlight(
        cache,
        verdicts,
        digests,
        render=code_body,
        clock=clock,
        seconds=settings.compute_seconds,
    )
    codes = Codes(
        cache,
        single_flight,
        digests,
        clock=clock,
        news_seconds=settings.news_seconds,
        region_feeds=frozenset(feeds) - {NATION, HOLDERS},
    )
    keys = secret.keys
    admission = Admission(keys)
    lookup = ProvenLookup(evidence, holders, mesh)
    root = mesh_secret.parse_mesh_secret(settings.mesh_secret).root
    supervision_store = open_store(
        settings.supervision_store, mesh_secret.secret_fingerprint(root), migrates=settings.supervision_migrate
    )
    recorder = None
    if supervision_store is not None:
        recorder = Recorder(supervision_store, root, secret, clock, days=settings.supervision_days)
    supervision = Supervision(supervision_store, recorder, codes, keys, clock)
    application = Application(
        admission,
        codes,
        digests,
        evidence=lookup,
        holders=lookup,
        regions=regions,
        **({"shows": recorder.record} if recorder else {}),
    )
    accesses = Accesses(settings.audit, settings.audit_trails, admission)
    pass_keys = open_pass_keys(settings)
    voids = Voids(nation, clock)
    names = _names(sample_people, keys)
    masked_names = {person: name.zh for person, name in names.items()}
    pass_sources = PassSources(pass_keys, voids, masked_names) if pass_keys else None
    overload = Overload(settings.concurrency)
    optional = OptionalParts(overload)
    passes = Passes(application, lookup, pass_sources, optional, clock=clock, news_seconds=settings.news_seconds)
    sources_of_certificates = open_certificates(settings, names, keys)
    certificates = Certificates(application, lookup, lookup, sources_of_certificates, optional, clock)
    updater = CacheUpdater(cache, sources, nation.mesh)
    first_contact = FirstContact(holders_news)
    probe = Probe(cache, digests, first_contact, mesh, clock=clock, feeds=feeds, news_seconds=settings.news_seconds)
    traces = asked_at_most(settings.trace_asked)
    auditor = process_auditor(settings, NAME, clock, keys, files)
    push = open_push(settings, clock)
    push_work: list[Callable[[], Awaitable[None]]] = []
    push_close: Callable[[], Awaitable[None]] | None = None
    subscriptions = PushSubscriptions(admission, keys, clock)
    if push is not None:
        lead, days = settings.push_lead_seconds, settings.push_days
        sender = PushSender(push.store, push.client, codes, secret, clock, auditor, lead_seconds=lead, days=days)
        push_work = [PushNews(nation, push.store, keys, clock).run, sender.run]
        push_close = sender.close
        subscriptions = PushSubscriptions(admission, keys, clock, push.store, push.endpoints, push.public_key)
    limiter = open_limiter(settings, fingerprint, redis_circuit)
    identities = open_identities(settings, keys, certificates=files is not None)
    named = NamedCallers(Purpose.PURPOSE_SHOW_CODE, _DEFAULT_PURPOSES)
    guard = TableGuard(access_table(settings), named, persons=NamedPersons(keys))
    routes = {
        **api_routes(application, accesses, passes, certificates),
        **push_routes(subscriptions),
        **supervision_routes(supervision, stores or {}, policies),
        **page_routes(sample_people, sign_in=bool(identities.development and sample_people)),
        **sign_in_routes(identities.development, sample_people),
    }

    servicer = HealthCodeServicer(application, accesses, passes, certificates)
    return Gateway(
        service=Service(
            name=NAME,
            bindings=[
                Binding(_CONTRACT, servicer, guard, heavy=HEAVY, heavy_purposes=HEAVY_PURPOSES),
                Binding(_PUSH, PushServicer(subscriptions), guard),
                Binding(_SUPERVISION, SupervisionServicer(supervision), guard, heavy=HEAVY),
            ],
            pings=probe.pings,
            background=[
                digests.keep,
                first_contact.run,
                updater.run,
                HoldersHistory(holder_feed, mesh).run,
                *([voids.run] if pass_sources else []),
                *([recorder.run] if recorder else []),
                *push_work,
                *(source.run for source in identities.tokens.sources),
            ],
            close=_closing(cache, verdicts, limiter, recorder, push_close, close),
            files=files,
            auditor=auditor,
            limiter=limiter,
            secret=secret,
        ),
        app=HttpApplication(
            routes,
            Pipelines(Pipeline(NAME, NamedCallers(), None, limiter), Pipeline(NAME, guard, auditor, limiter)),
            traces,
            overload,
            identities.callers,
            seconds=settings.request_seconds,
            addresses=Addresses(settings.trusted_proxies),
            origins=settings.cors_origins,
        ),
        application=application,
        traces=traces,
        security=_security(identities.callers, files),
        development=identities.development,
        overload=overload,
    )


def _security(callers: Callers, files: TlsFiles | None) -> Security:
    # The binding's guard is held against the table already, over HTTP as well.
    if files is None:
        return Security(TokenPeers(callers, NamedPeers(), proven=False))
    peers = TokenPeers(callers, ProvenPeers(files, system_clock), proven=True)
    return Security(peers, server_credentials(files))


def _closing(
    cache: VerdictCache,
    verdicts: VerdictClient,
    limiter: Limiter | None,
    recorder: Recorder | None,
    push_close: Callable[[], Awaitable[None]] | None,
    close: Callable[[], Awaitable[None]] | None,
) -> Callable[[], Awaitable[None]]:
    async def close_all() -> None:
        if recorder is not None:
            await recorder.close()
        if push_close is not None:
            await push_close()
        await verdicts.close()
        await cache.close()
        if limiter is not None:
            await limiter.close()
        if close is not None:
            await close()

    return close_all
