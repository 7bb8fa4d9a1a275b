"""Web Push as the gateway's settings have it: on where there is a key and a store."""

import logging
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.push.endpoints import Endpoints
from gateway.push.store.opening import open_store
from gateway.push.store.protocol import PushStore
from gateway.settings import GatewaySettings
from services.common import mesh_secret
from services.runtime.clock import Clock
from services.runtime.settings.environment import SettingsError

if TYPE_CHECKING:
    from gateway.push.client import PushClient

log = logging.getLogger("hutong.push")

_DEVELOPMENT_CONTACT = "mailto:push@localhost"


@dataclass(frozen=True, slots=True)
class Push:
    """The means of telling devices."""

    store: PushStore
    client: "PushClient"
    endpoints: Endpoints
    public_key: bytes


def open_push(settings: GatewaySettings, clock: Clock) -> Push | None:
    """Returns the means, None where messages are not sent. Raises SettingsError for a key or a store that will not do,
    and where the extra `push` is not installed."""
    if not settings.push_store or not (settings.push_key or settings.development):
        return None
    if find_spec("pywebpush") is None:
        if settings.push_key:
            raise SettingsError("HUTONG_PUSH_KEY: 须安装 hutong[push] / hutong[push] has to be installed")
        log.info("devices are told of nothing: hutong[push] is not installed")
        return None
    # Its libraries are an optional dependency.
    from gateway.push.client import PushClient
    from gateway.push.keys import kept_push_key, read_push_key

    name = "HUTONG_PUSH_KEY" if settings.push_key else "HUTONG_DEVELOPMENT"
    endpoints = Endpoints(settings.push_services, settings.push_networks)
    try:
        path = Path(settings.push_key) if settings.push_key else kept_push_key(Path(settings.development))
        key = read_push_key(path, settings.push_contact or _DEVELOPMENT_CONTACT)
        name = "HUTONG_PUSH_TRUST"
        client = PushClient(key, endpoints, clock, settings.push_trust)
    except (OSError, ValueError) as error:
        raise SettingsError(f"{name}: {error}") from None
    fingerprint = mesh_secret.secret_fingerprint(mesh_secret.parse_mesh_secret(settings.mesh_secret).root)
    store = open_store(settings.push_store, fingerprint, migrates=settings.push_migrate)
    return Push(store, client, endpoints, key.public_bytes)
