"""Puts the verdict service together: the only module that knows its adapters."""

from pathlib import Path

from hutong.verdict.v1 import policy_service_pb2, verdict_service_pb2

from services.common.identities import HOLDERS, ExpectedStore
from services.common.release import RELEASE
from services.runtime.audit.process import process_auditor
from services.runtime.clock import Clock, system_clock
from services.runtime.rpc.binding import Binding
from services.runtime.rpc.channel import Channels
from services.runtime.rpc.health import Ping
from services.runtime.rpc.person_keys import message_keys
from services.runtime.service import Background, Service
from services.runtime.settings.secret_file import process_secret
from services.runtime.tls.identity import principal
from services.runtime.tls.process import process_files
from services.verdict.first_contact import FirstContact
from services.verdict.policy.files import DEFAULT_DIRECTORY
from services.verdict.policy.registry import PolicyRegistry
from services.verdict.ports import EvidenceSource, RegionDirectory
from services.verdict.servicers.policy import PolicyServicer
from services.verdict.servicers.verdict import VerdictServicer
from services.verdict.settings import Settings

NAME = "verdict"
PRINCIPAL = principal("mesh/verdict")

VERDICTS = verdict_service_pb2.DESCRIPTOR.services_by_name["VerdictService"]
POLICIES = policy_service_pb2.DESCRIPTOR.services_by_name["PolicyService"]


def build(settings: Settings, *, evidence: EvidenceSource | None = None, clock: Clock = system_clock) -> Service:
    """The verdict service, within a running event loop.

    Evidence comes from `evidence`, or over gRPC from `settings.lookup`. Raises PolicyFileError or OSError when the
    policies cannot be loaded, ValueError when the mesh's secret is too short.
    """
    registry = PolicyRegistry(
        Path(settings.policies) if settings.policies else DEFAULT_DIRECTORY, clock, poll=settings.policy_poll
    )
    files = process_files(settings, PRINCIPAL)
    secret = process_secret(settings)
    channels = Channels(NAME, files, message_keys(secret))
    lookup = ExpectedStore(HOLDERS, "", secret.own_fingerprint)
    pings: dict[str, Ping] = {"policies": registry.ping}
    background: list[Background] = [registry.watch]
    if evidence is None:
        peer = principal("mesh/lookup")
        evidence = channels.remote(EvidenceSource, settings.lookup, service="lookup", peer=peer)
        contact = FirstContact(channels.remote(RegionDirectory, settings.lookup, service="lookup", peer=peer), lookup)
        pings["lookup"] = contact.ping
        background.append(contact.run)

    return Service(
        NAME,
        [
            Binding(
                VERDICTS,
                VerdictServicer(
                    registry,
                    evidence,
                    lookup,
                    secret.keys,
                    clock,
                    RELEASE,
                ),
            ),
            Binding(POLICIES, PolicyServicer(registry)),
        ],
        pings=pings,
        background=background,
        close=channels.close,
        files=files,
        auditor=process_auditor(settings, NAME, clock, secret.keys, files),
        secret=secret,
    )
