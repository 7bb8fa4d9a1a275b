"""The settings of each service of a mesh, as environment variables of its process."""

from cli.mesh.certificates import tls_settings
from cli.mesh.child import inherited_environment
from cli.mesh.data import SECRET_FILE
from cli.mesh.plan import GATEWAY, HTTP, LOOKUP, OPERATIONS, PUSH, RECORD_STORES, SUPERVISION, VERDICT, Plan
from services.common.regions import NATION

MODULES = dict.fromkeys(RECORD_STORES, "services.records") | {
    LOOKUP: "services.lookup",
    VERDICT: "services.verdict",
    GATEWAY: "gateway",
}
"""The module that runs each service."""


def settings(plan: Plan, name: str) -> dict[str, str]:
    """Returns the settings of one service, without the prefix HUTONG_."""
    common = {
        "LISTEN": plan.address(name),
        "MESH_SECRET_FILE": str(plan.data.resolve() / SECRET_FILE),
        "REFLECTION": "true",
        "AUDIT": plan.audit(name),
        "LIMITS": ",".join(f"{limit}={rule}" for limit, rule in plan.limits.items()),
    }
    common |= {key.upper(): str(value) for key, value in tls_settings(plan, name).items()}
    if plan.audits and name != NATION:
        common["WITNESSES"] = f"nation/records={plan.address(NATION)}"
    if name in RECORD_STORES:
        own = {
            "REGION": name,
            "KEEPS": ",".join(plan.keeps(name)),
            "STORE_URL": plan.store_url(name),
            "STORE_MIGRATE": "true",
        }
        if name == NATION:
            own["DIRECTORY"] = str(plan.directory)
            own["WITNESS"] = str(plan.data.resolve() / "witness") if plan.audits else ""
    elif name == LOOKUP:
        own = {
            "STORE_URL": plan.store_url(name),
            "STORE_MIGRATE": "true",
            "DIRECTORY": str(plan.directory),
            "CERTIFICATE_TRUST": str(plan.signers),
        }
    elif name == VERDICT:
        own = {"LOOKUP": plan.address(LOOKUP), "POLICIES": str(plan.policies.resolve()) if plan.policies else ""}
    else:
        own = {
            "HTTP_LISTEN": plan.address(HTTP),
            "OPERATIONS_LISTEN": plan.address(OPERATIONS),
            "VERDICT": plan.address(VERDICT),
            "LOOKUP": plan.address(LOOKUP),
            "DIRECTORY": str(plan.directory),
            "REDIS_URL": plan.redis,
            "DEVELOPMENT": plan.development,
            "SUPERVISION_STORE": plan.store_url(SUPERVISION),
            "SUPERVISION_MIGRATE": "true",
            "PUSH_STORE": plan.store_url(PUSH),
            "PUSH_MIGRATE": "true",
            "CERTIFICATE_SIGNERS": str(plan.signers),
            "CERTIFICATE_TRUST": str(plan.signers),
            "SAMPLE_PEOPLE": str(plan.samples.resolve()) if plan.samples else "",
        }
    return common | own


def environment(plan: Plan, name: str) -> dict[str, str]:
    """The whole environment of a service's process."""
    return inherited_environment() | {f"HUTONG_{key}": value for key, value in settings(plan, name).items()}
