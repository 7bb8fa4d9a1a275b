"""Puts the gateway together. The only module that knows which cache there is."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from hutong.common.v1.subject_pb2 import Purpose
from hutong.gateway.v1 import health_code_service_pb2

from gateway.application.admission import Admission
from gateway.application.application import Application
from gateway.application.readiness import Probe
from gateway.application.samples import SamplePerson
from gateway.codes.cache.entry import BOUND_SECONDS
from gateway.codes.cache.memory import MemoryCache
from gateway.codes.cache.protocol import VerdictCache
from gateway.codes.codes import Codes
from gateway.codes.policy_digests import PolicyDigests
from gateway.codes.single_flight import SingleFlight
from gateway.codes.verdict_client import VerdictClient
from gateway.grpc.servicer import HealthCodeServicer
from gateway.http.app import HttpApplication
from gateway.http.routes import api_routes, operation_routes
from gateway.news.feeds import HOLDERS, Feed, HoldersFeed, RecordsFeed
from gateway.news.follower import Follower
from gateway.pages.routes import page_routes
from gateway.ports import Evidence, Holders, NewsFeed, Regions, VerdictSource
from gateway.settings import GatewaySettings
from services.common.documents import PersonKeys
from services.common.regions import NATION
from services.runtime.clock import Clock, system_clock
from services.runtime.rpc.access import NamedCallers
from services.runtime.rpc.binding import Binding
from services.runtime.service import Service
from services.runtime.telemetry.trace import Traces, asked_at_most
from services.runtime.tls.files import TlsFiles


@dataclass(frozen=True, slots=True)
class Gateway:
    """The gateway, ready to run: `service` over gRPC, with its background work, and `app` over HTTP (ASGI)."""

    service: Service
    app: HttpApplication
    probe: Probe
    traces: Traces
    """Where the trace of a request comes from, over either admission."""


def open_cache(settings: GatewaySettings, feeds: Sequence[str], clock: Clock) -> VerdictCache:
    """The cache the settings name. Redis's driver is needed only where there is a Redis."""
    if not settings.redis_url:
        return MemoryCache(settings.cache_entries)
    from gateway.codes.cache.redis import RedisCache

    return RedisCache(settings.redis_url, feeds=feeds, clock=clock, timeout=settings.redis_timeout)


def build(
    settings: GatewaySettings,
    *,
    verdict: VerdictSource,
    evidence: Evidence,
    holders: Holders,
    regions: Regions,
    news: NewsFeed,
    region_news: Mapping[str, NewsFeed] | None = None,
    sample_people: Sequence[SamplePerson] | None = None,
    cache: VerdictCache | None = None,
    clock: Clock = system_clock,
    close: Callable[[], Awaitable[None]] | None = None,
    files: TlsFiles | None = None,
) -> Gateway:
    """A gateway over these ports.

    `news` is the nation's change feed, `region_news` those of regions whose own changes are to reach the cache
    directly; `sample_people` are shown by the embedded mesh and only there. The gateway closes a cache it opened itself
    or was given, then calls `close`. Raises ValueError when the mesh's secret is too short or
    the bound on news too long.
    """
    if not 0 < settings.news_seconds <= BOUND_SECONDS:
        raise ValueError(f"HUTONG_NEWS_SECONDS: more than 0 and at most {BOUND_SECONDS:g}")
    feeds: list[Feed] = [RecordsFeed(NATION, news, clock), HoldersFeed(holders, clock)]
    feeds += [RecordsFeed(region, source, clock) for region, source in (region_news or {}).items()]
    names = tuple(feed.name for feed in feeds)
    kept = cache or open_cache(settings, names, clock)
    policies = PolicyDigests(verdict)
    single_flight = SingleFlight(kept, VerdictClient(verdict), policies, clock=clock, seconds=settings.compute_seconds)
    codes = Codes(
        kept,
        single_flight,
        policies,
        clock=clock,
        news_seconds=settings.news_seconds,
        region_feeds=frozenset(names) - {NATION, HOLDERS},
    )
    admission = Admission(PersonKeys(settings.mesh_secret.encode()))
    application = Application(admission, codes, policies, evidence=evidence, holders=holders, regions=regions)
    follower = Follower(kept, feeds)
    probe = Probe(kept, policies, clock=clock, feeds=names, news_seconds=settings.news_seconds)
    traces = asked_at_most(settings.trace_asked)
    guard = NamedCallers(default_purpose=Purpose.PURPOSE_SHOW_CODE)
    contract = health_code_service_pb2.DESCRIPTOR.services_by_name["HealthCodeService"]

    async def end() -> None:
        await kept.close()
        if close is not None:
            await close()

    return Gateway(
        service=Service(
            name="gateway",
            bindings=[Binding(contract, HealthCodeServicer(application), guard)],
            pings={"verdict": probe.verdict},
            background=[policies.keep, follower.run],
            close=end,
            files=files,
        ),
        app=HttpApplication(
            application,
            {**api_routes(application), **operation_routes(probe), **page_routes(sample_people)},
            guard,
            traces,
            seconds=settings.request_seconds,
        ),
        probe=probe,
        traces=traces,
    )
