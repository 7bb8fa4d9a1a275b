"""Settings: one typed struct a process, read once from the environment."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args, get_origin

import msgspec

from services.common.mesh_secret import parse_mesh_secret
from services.runtime.resilience.overload import CONCURRENCY
from services.runtime.settings.kinds import (
    CollectorUrl,
    Count,
    Directory,
    File,
    Flag,
    Kind,
    Level,
    Limits,
    Listen,
    Name,
    Seconds,
    Secret,
    Share,
    SomeSeconds,
    Targets,
)
from services.runtime.settings.names import PREFIX, unknown

T = TypeVar("T", bound=msgspec.Struct)

_WORDS = {float: "a number", int: "a whole number", bool: "true or false"}


class SettingsError(Exception):
    """A setting is missing, unknown or malformed; the message is one sentence that names the environment variable."""


def load(kind: type[T], environ: Mapping[str, str]) -> T:
    """Settings of this kind from the variables that begin with HUTONG_, such as HUTONG_LISTEN for `listen`.

    Lists are comma-separated; maps are `key=value` pairs, comma-separated. Where there is a field `NAME_file`, what
    stands in that file is the value of NAME. Raises SettingsError, also for a name that no service knows; those of
    other services are left to them.
    """
    fields = msgspec.structs.fields(kind)
    names = {field.name for field in fields}
    for mistake in unknown(environ, {name.upper() for name in names}):
        raise SettingsError(mistake)
    values: dict[str, Any] = {}
    for field in fields:
        variable = PREFIX + field.name.upper()
        raw = environ.get(variable)
        if f"{field.name}_file" in names and field.name != "mesh_secret":
            variable, raw = value_or_file(variable, environ)
        if raw is None:
            if field.required:
                raise SettingsError(f"{variable} is missing")
            continue
        shape, checked = shape_of(field.type)
        value = values[field.name] = _read(variable, raw, shape)
        if checked is not None and (value or value != field.default) and (wrong := checked.wrong(value)):
            raise SettingsError(f"{variable}: {wrong}")
    _read_secret(values)
    try:
        return kind(**values)
    except ValueError as error:
        raise SettingsError(str(error)) from None


def value_or_file(variable: str, environ: Mapping[str, str]) -> tuple[str, str | None]:
    """Returns the variable that gives a value, itself or that of a file (`…_FILE`), and the value: of a file what
    stands in it, without space around it; None where neither is given. Raises SettingsError."""
    raw, path = environ.get(variable), environ.get(f"{variable}_FILE")
    if not path:
        return variable, raw
    if raw:
        raise SettingsError(f"{variable} and {variable}_FILE: one of them is given")
    try:
        return f"{variable}_FILE", Path(path).read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        # Never what stands in the file.
        why = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
        raise SettingsError(f"{variable}_FILE: {path}: {why}") from None


def _read_secret(values: dict[str, Any]) -> None:
    """Puts the secret of the file that is named in the secret's place. Raises
    SettingsError."""
    path = values.get("mesh_secret_file")
    try:
        if path:
            if values.get("mesh_secret"):
                raise SettingsError("HUTONG_MESH_SECRET and HUTONG_MESH_SECRET_FILE: one of them is given")
            values["mesh_secret"] = Path(path).read_text(encoding="utf-8")
        if values.get("mesh_secret"):
            parse_mesh_secret(values["mesh_secret"])
    except (OSError, ValueError) as error:
        variable = "HUTONG_MESH_SECRET_FILE" if path else "HUTONG_MESH_SECRET"
        raise SettingsError(f"{variable}: {error}") from None


def require_secret(secret: str) -> None:
    """Raises ValueError without one: in a server it has no default."""
    if not secret:
        raise ValueError("HUTONG_MESH_SECRET is missing")


def shape_of(annotated: Any) -> tuple[Any, Kind | None]:
    """The bare type of a field, and its kind where it has one."""
    if get_origin(annotated) is Annotated:
        shape, *notes = get_args(annotated)
        return shape, next((note for note in notes if isinstance(note, Kind)), None)
    return annotated, None


def _read(variable: str, raw: str, shape: Any) -> Any:
    origin = get_origin(shape)
    pieces = [piece.strip() for piece in raw.split(",") if piece.strip()]
    if origin in (list, tuple, frozenset):
        return origin(pieces)
    if origin is dict:
        pairs: dict[str, str] = {}
        for piece in pieces:
            key, _, value = (part.strip() for part in piece.partition("="))
            if not key or not value:
                raise SettingsError(f"{variable}: expected key=value pairs, comma-separated, not {piece!r}")
            if key in pairs:
                raise SettingsError(f"{variable}: {key} is given twice")
            pairs[key] = value
        return pairs
    try:
        return msgspec.convert(raw.strip() if shape in _WORDS else raw, shape, strict=False)
    except msgspec.ValidationError:
        raise SettingsError(f"{variable}: expected {_WORDS.get(shape, shape)}, not {raw!r}") from None


class ServerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of every server."""

    listen: Listen = "127.0.0.1:0"
    """Where to serve gRPC; port 0 takes a free one."""
    mesh_secret: Secret = ""
    """The secret under which person keys are made, the same in every process of a mesh; while it is changed, in several
    versions (docs/runbook/changing-the-secret.md)."""
    mesh_secret_file: File = ""
    """A file with the secret, in place of mesh_secret: a process's environment is seen by more than its files, and
    a file is read again when it changes."""
    tls_certificate: File = ""
    """This process's certificate with its chain, PEM. With it all gRPC is mutual TLS 1.3, and callers are whom their
    certificates name. Certificate, key and trust are given together; the files may change while the process runs."""
    tls_key: File = ""
    """The certificate's private key, PEM."""
    tls_trust: Directory = ""
    """The authorities that are believed: mesh.pem, and region-CODE.pem for each region that has one of its own."""
    plaintext: Flag = False
    """Serve without certificates on an address that is not loopback, for a network that is closed by other means:
    there, whoever reaches the port may claim any name."""
    access_table: File = ""
    """Who may call what, YAML. Empty: the table that comes with it. It holds where there are certificates."""
    audit: Name = ""
    """The folder of this process's audit trail: every call about a person is written there before it is answered. Made
    when it is not there; no two processes share one. Empty: nothing is written down."""
    limits: Limits = msgspec.field(default_factory=dict)
    """Limits that are not the default ones: NAME=RATE/BURST, tokens a second and at once, such as
    code-per-address=1000/20000; none=true for no limits. docs/clients.md has the names. They are shared by the replicas
    of a gateway that has a Redis, and of every other process its own."""
    witnesses: Targets = msgspec.field(default_factory=dict)
    """The witnesses that co-sign the checkpoints of this process's audit trail: the name that each proves, below
    spiffe://hutong/, and where it is, such as nation/records=nation:7001."""
    operations_listen: Listen = ""
    """Where operators and the probes of a cluster ask over HTTP, without certificates: /healthz (the process lives),
    /readyz (it should be sent calls), /metrics (Prometheus). A thread of its own answers there, however much else there
    is to do. For inside a cluster, and nobody else. Empty: nowhere."""
    concurrency: Count = CONCURRENCY
    """How many calls that are answered once may be under way at a time, over every port together; at the gateway a
    quarter of them for many codes, for results or for supervision, and the last quarter for none of these. Beyond that
    the next are refused: RESOURCE_EXHAUSTED with RetryInfo, over HTTP 503 with Retry-After (OVERLOADED). Health and
    metrics are not counted."""
    drain_wait: Seconds = 0.0
    """After SIGTERM: how long to go on serving while load balancers notice that the process is no longer healthy."""
    drain_grace: Seconds = 5.0
    """After that: how long calls in flight may take to end."""
    reflection: Flag = False
    """Tells everybody who asks what the contracts are (gRPC reflection): tools such as buf curl then need no files."""
    streams_per_caller: Count = 200
    """How many streams, such as watches of a feed, one caller may have open at this server."""
    streams_per_connection: Count = 100
    """How many streams may be open on one connection."""
    reader_seconds: SomeSeconds = 30.0
    """How long a message of a stream may wait for its reader; then the stream is ended, to be opened again where the
    last message that was read ends."""
    otlp_endpoint: CollectorUrl = ""
    """Where to send spans, OTLP over gRPC, such as http://collector:4317. Empty: nowhere."""
    trace_ratio: Share = 0.01
    """The share of requests that is traced when otlp_endpoint is set."""
    log_level: Level = "INFO"
    """The least level that is logged."""
