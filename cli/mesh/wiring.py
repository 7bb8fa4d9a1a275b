"""Each service of an embedded mesh, put together with the ports of its neighbours in the same process."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from cli.mesh.certificates import tls_settings
from cli.mesh.data import SECRET_FILE
from cli.mesh.plan import GATEWAY, HTTP, LOOKUP, OPERATIONS, PRINCIPALS, PUSH, REGIONS, SUPERVISION, VERDICT, Plan
from gateway.ports import ChangeFeed, Evidence, HolderFeed, Holders, Policies, Regions, SupervisedStore, VerdictSource
from services.common.regions import NATION
from services.lookup.ports import CorrectionStore, RecordsIntake, RecordsSource
from services.records.ports import Region
from services.runtime.rpc.binding import Binding
from services.runtime.service import Service
from services.runtime.settings.environment import ServerSettings
from services.verdict.ports import EvidenceSource


def server(plan: Plan, name: str) -> ServerSettings:
    """Returns the settings of a service's gRPC port, for others than those within the process."""
    return ServerSettings(listen=plan.address(name), limits=dict(plan.limits), reflection=True)


def records(plan: Plan, store: str, feeds: Mapping[str, Region]) -> Service:
    """A records service; `feeds` are the change feeds it follows, by region."""
    from services.records.composition import build
    from services.records.settings import Settings

    settings = Settings(
        region=store,
        keeps=tuple(plan.keeps(store)),
        store_url=plan.store_url(store),
        store_migrate=True,
        mesh_secret=plan.secret,
        mesh_secret_file=str(plan.data.resolve() / SECRET_FILE),
        directory=str(plan.directory) if store == NATION else "",
        audit=plan.audit(store),
        **tls_settings(plan, store),
    )
    return build(settings, feeds=feeds)


def lookup(
    plan: Plan,
    *,
    sources: Mapping[str, RecordsSource],
    intakes: Mapping[str, RecordsIntake],
    corrections: Mapping[str, CorrectionStore],
) -> Service:
    """The lookup service; `sources` and `corrections` are all records services, by region and "nation", `intakes` those
    of regions."""
    from services.lookup.composition import build
    from services.lookup.settings import Settings

    settings = Settings(
        store_url=plan.store_url(LOOKUP),
        store_migrate=True,
        mesh_secret=plan.secret,
        mesh_secret_file=str(plan.data.resolve() / SECRET_FILE),
        directory=str(plan.directory),
        certificate_trust=str(plan.signers),
        audit=plan.audit(LOOKUP),
        **tls_settings(plan, LOOKUP),
    )
    return build(settings, sources=sources, intakes=intakes, corrections=corrections)


def verdict(plan: Plan, evidence: EvidenceSource) -> Service:
    """The verdict service; `evidence` is lookup."""
    from services.verdict.composition import build
    from services.verdict.settings import Settings

    policies = str(plan.policies.resolve()) if plan.policies else ""
    settings = Settings(
        mesh_secret=plan.secret,
        mesh_secret_file=str(plan.data.resolve() / SECRET_FILE),
        policies=policies,
        audit=plan.audit(VERDICT),
        **tls_settings(plan, VERDICT),
    )
    return build(settings, evidence=evidence)


@asynccontextmanager
async def gateway(
    plan: Plan,
    *,
    verdict: VerdictSource,
    evidence: Evidence,
    holders: Holders,
    holder_feed: HolderFeed,
    regions: Regions,
    news: Mapping[str, ChangeFeed],
    policies: Policies,
    stores: Mapping[str, SupervisedStore],
) -> AsyncIterator[Sequence[Binding]]:
    """Runs the gateway on its two ports meanwhile. Raises OSError when one is taken."""
    from gateway.application.samples import read_people
    from gateway.composition import build
    from gateway.server import GatewayServer
    from gateway.settings import GatewaySettings
    from services.runtime.tls.process import process_files

    settings = GatewaySettings(
        listen=plan.address(GATEWAY),
        http_listen=plan.address(HTTP),
        operations_listen=plan.address(OPERATIONS),
        mesh_secret=plan.secret,
        mesh_secret_file=str(plan.data.resolve() / SECRET_FILE),
        reflection=True,
        redis_url=plan.redis,
        limits=dict(plan.limits),
        audit=plan.audit(GATEWAY),
        development=plan.development,
        supervision_store=plan.store_url(SUPERVISION),
        supervision_migrate=True,
        push_store=plan.store_url(PUSH),
        push_migrate=True,
        certificate_signers=str(plan.signers),
        certificate_trust=str(plan.signers),
        **tls_settings(plan, GATEWAY),
    )
    gateway = build(
        settings,
        verdict=verdict,
        evidence=evidence,
        holders=holders,
        holder_feed=holder_feed,
        regions=regions,
        news=news[NATION],
        region_news={region: news[region] for region in REGIONS},
        policies=policies,
        stores=stores,
        directory_version=plan.members.version,
        sample_people=read_people(plan.samples) if plan.samples else None,
        files=process_files(settings, PRINCIPALS[GATEWAY]),
    )
    server = GatewayServer(gateway, settings)
    async with gateway.service.running():
        await server.start()
        try:
            yield gateway.service.bindings
        finally:
            await server.drain(0.0, settings.drain_grace)
