"""Settings: one typed struct a process, read once from the environment."""

from collections.abc import Mapping
from typing import TypeVar

import msgspec

PREFIX = "HUTONG_"

T = TypeVar("T", bound=msgspec.Struct)


class SettingsError(Exception):
    """A setting is missing, unknown or malformed; the message names the environment variable."""


def load(kind: type[T], environ: Mapping[str, str]) -> T:
    """Settings of this kind from the variables that begin with HUTONG_, such as HUTONG_LISTEN for `listen`.

    Lists are comma-separated; maps are `key=value` pairs, comma-separated. Raises SettingsError.
    """
    values: dict[str, object] = {}
    for field in msgspec.structs.fields(kind):
        raw = environ.get(PREFIX + field.name.upper())
        if raw is None:
            continue
        origin = getattr(field.type, "__origin__", None)
        pieces = [piece.strip() for piece in raw.split(",") if piece.strip()]
        if origin in (list, tuple, frozenset):
            values[field.name] = pieces
        elif origin is dict:
            if any("=" not in piece for piece in pieces):
                raise SettingsError(f"{PREFIX}{field.name.upper()}: expected key=value pairs, comma-separated")
            values[field.name] = {key: value for key, _, value in (piece.partition("=") for piece in pieces)}
        else:
            values[field.name] = raw
    try:
        return msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        message = str(error)
        for field in msgspec.structs.fields(kind):
            variable = PREFIX + field.name.upper()
            message = message.replace(f"`$.{field.name}`", variable).replace(f"field `{field.name}`", variable)
        raise SettingsError(message) from None


class ServerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What every server takes from the environment. Durations are seconds."""

    listen: str = "127.0.0.1:0"
    """Where to serve gRPC, host:port."""
    mesh_secret: str = ""
    """The secret under which person keys are made, the same in every process of a mesh; at least 16 bytes."""
    drain_wait: float = 0.0
    """After SIGTERM: how long to go on serving while load balancers notice that the process is no longer healthy."""
    drain_grace: float = 5.0
    """After that: how long calls in flight may take to end."""
    otlp_endpoint: str = ""
    """Where to send spans, OTLP over gRPC, such as http://collector:4317. Empty: nowhere."""
    trace_ratio: float = 0.01
    """The share of requests that is traced when otlp_endpoint is set, 0 to 1."""
    metrics_listen: str = ""
    """Where to serve Prometheus metrics over HTTP, host:port. Empty: nowhere."""
    log_level: str = "INFO"
    """DEBUG, INFO, WARNING or ERROR."""
