"""The audit trail that a process is told to keep, and the trails of others that it witnesses."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from hutong.audit.v1 import witness_service_pb2

from services.common.documents import PersonKeys
from services.runtime.audit.auditor import Auditor
from services.runtime.audit.cosigning import Cosigning, Witness
from services.runtime.audit.opening import open_log
from services.runtime.audit.segments import AuditError
from services.runtime.audit.witness import WitnessServicer
from services.runtime.audit.witness_signer import WitnessSigner
from services.runtime.clock import Clock
from services.runtime.rpc.binding import Binding
from services.runtime.rpc.channel import Channels
from services.runtime.settings.environment import ServerSettings, SettingsError
from services.runtime.tls.files import TlsFiles
from services.runtime.tls.identity import WrongPrincipalError, principal

_WITNESS = witness_service_pb2.DESCRIPTOR.services_by_name["WitnessService"]


def process_auditor(
    settings: ServerSettings, service: str, clock: Clock, keys: PersonKeys | None = None, files: TlsFiles | None = None
) -> Auditor | None:
    """Returns what writes down the calls of a process; None where HUTONG_AUDIT names no folder. `files` prove its name
    to the witnesses that it has. Raises SettingsError for a folder, or a witness's name, that will not do."""
    if not settings.audit:
        return None
    folder = Path(settings.audit)
    try:
        peers = {name: principal(name) for name in settings.witnesses}
        kept = open_log(folder, service)
    except AuditError as error:
        raise SettingsError(f"HUTONG_AUDIT: {error}") from None
    except WrongPrincipalError as error:
        raise SettingsError(f"HUTONG_WITNESSES: {error}") from None

    @asynccontextmanager
    async def cosigning() -> AsyncIterator[Cosigning]:
        async with Channels(service, files) as channels:
            ports = {
                name: channels.remote(Witness, target, service="witness", peer=peers[name])
                for name, target in settings.witnesses.items()
            }
            yield Cosigning(folder, ports)

    return Auditor(kept, keys or PersonKeys(settings.mesh_secret.encode()), clock, cosigning)


def witness_bindings(folder: str, name: str, clock: Clock) -> Sequence[Binding]:
    """Returns what a process serves that co-signs others' checkpoints under a name, and keeps in a folder what it has
    seen; nothing without a folder. Raises SettingsError."""
    if not folder:
        return ()
    try:
        return (Binding(_WITNESS, WitnessServicer(Path(folder), WitnessSigner(Path(folder), name), clock)),)
    except AuditError as error:
        raise SettingsError(f"HUTONG_WITNESS: {error}") from None
