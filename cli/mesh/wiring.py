"""Each service of an embedded mesh, put together with the ports of its neighbours in the same process."""

from collections.abc import Mapping
from typing import Any

from cli.mesh.plan import Plan
from services.runtime.service import Service


def records(plan: Plan, store: str, feeds: Mapping[str, Any]) -> Service:
    """A records service; `feeds` are the change feeds it follows, by region."""
    from services.records.composition import build
    from services.records.settings import Settings

    settings = Settings(
        region=store, keeps=tuple(plan.keeps(store)), store_url=plan.store_url(store), mesh_secret=plan.secret
    )
    return build(settings, feeds=feeds)


def lookup(plan: Plan, stores: Mapping[str, Any]) -> Service:
    """The lookup service; `stores` are all records services, by region and "nation"."""
    from cli.mesh.plan import LOOKUP, NATION
    from services.lookup.composition import build
    from services.lookup.settings import Settings

    settings = Settings(store_url=plan.store_url(LOOKUP), mesh_secret=plan.secret)
    intakes = {name: store for name, store in stores.items() if name != NATION}
    return build(settings, sources=stores, intakes=intakes)


def verdict(plan: Plan, evidence: Any) -> Service:
    """The verdict service; `evidence` is lookup."""
    from services.verdict.composition import build
    from services.verdict.settings import Settings

    policies = str(plan.policies.resolve()) if plan.policies else ""
    return build(Settings(mesh_secret=plan.secret, policies=policies), evidence=evidence)
