"""The audit trail that a process is told to keep."""

from pathlib import Path

from services.common.documents import PersonKeys
from services.runtime.audit.auditor import Auditor
from services.runtime.audit.opening import open_log
from services.runtime.audit.segments import AuditError
from services.runtime.clock import Clock
from services.runtime.settings.environment import ServerSettings, SettingsError


def process_auditor(
    settings: ServerSettings, service: str, clock: Clock, keys: PersonKeys | None = None
) -> Auditor | None:
    """Returns what writes down the calls of a process; None where HUTONG_AUDIT names no folder. Raises SettingsError
    for a folder that will not do."""
    if not settings.audit:
        return None
    try:
        kept = open_log(Path(settings.audit), service)
    except AuditError as error:
        raise SettingsError(f"HUTONG_AUDIT: {error}") from None
    return Auditor(kept, keys or PersonKeys(settings.mesh_secret.encode()), clock)
