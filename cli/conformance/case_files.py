"""The published cases: one YAML file a role, with a version. A case is steps, each with the answer that is expected."""

import hashlib
from importlib.resources import files
from typing import Literal

import msgspec
import yaml
from msgspec import Struct

from cli.conformance.json_values import Json

Role = Literal["region", "laboratory", "venue", "verifier"]
ROLES: tuple[Role, ...] = ("region", "laboratory", "venue", "verifier")


class ExpectedError(Struct, frozen=True, forbid_unknown_fields=True):
    """An error: its gRPC code or HTTP status, its reason, and of its fields and metadata those that are looked at."""

    reason: str
    code: str | int = ""
    fields: dict[str, str] = {}
    """Reasons by the path of the field."""
    metadata: dict[str, Json] = {}


class CallStep(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One gRPC call that is answered once; messages are in the JSON of protobuf, with the contract's names."""

    call: str
    request: dict[str, Json]
    expect: Json = None
    error: ExpectedError | None = None
    save: dict[str, str] = {}
    within: float = 0.0
    """Seconds for which the call may be made again until it is answered as expected."""


class StreamStep(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One stream in both directions: each message is answered before the next is sent, then the stream is cut off. With
    an error, that is what the last message is answered with."""

    stream: str
    messages: list[dict[str, Json]]
    expect: list[Json]
    error: ExpectedError | None = None


class FeedStep(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Follows a feed from a cursor until this run's own changes have come, each once and in order, as `[id, revision]`;
    sequences must grow. `feed` is how: by pages, or by watching."""

    feed: Literal["list", "watch"]
    after: Json
    changes: list[list[str | int]]
    page_size: int = 0
    save: str = ""
    """The cursor that was reached."""


class HttpStep(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One HTTP request: a method and a path, such as `POST /v1/healthCode:show`."""

    http: str
    body: Json = None
    headers: dict[str, str] = {}
    anonymous: bool = False
    """Without the venue's token."""
    expect: Json = None
    error: ExpectedError | None = None
    save: dict[str, str] = {}
    within: float = 0.0


Step = CallStep | StreamStep | FeedStep | HttpStep
_KINDS: dict[str, type[Step]] = {"call": CallStep, "stream": StreamStep, "feed": FeedStep, "http": HttpStep}


class Case(Struct, frozen=True, kw_only=True):
    """One case."""

    id: str
    name: str
    steps: list[Step]

    def transports(self) -> set[str]:
        """Returns what the role's own target is asked by: `http` or `grpc`."""
        return {"http"} if any(isinstance(step, HttpStep) for step in self.steps) else {"grpc"}

    def needs_records(self) -> bool:
        """Tells if its people must be tested first, at a store of records."""
        return any(isinstance(step, CallStep) and ".records." in step.call for step in self.steps)


class CaseFile(Struct, frozen=True, kw_only=True):
    """The cases of a role, their version, and the SHA-256 of the file they stand in."""

    role: Role
    version: int
    digest: str
    cases: list[Case]


class _RawCase(Struct, frozen=True, forbid_unknown_fields=True):
    id: str
    name: str
    steps: list[dict[str, Json]]


class _RawFile(Struct, frozen=True, forbid_unknown_fields=True):
    version: int
    cases: list[_RawCase]


def _step(raw: dict[str, Json]) -> Step:
    kinds = [kind for kind in _KINDS if kind in raw]
    if len(kinds) != 1:
        raise msgspec.ValidationError(f"a step is one of {sorted(_KINDS)}, not {sorted(raw)}")
    return msgspec.convert(raw, _KINDS[kinds[0]])


def read_cases(role: Role) -> CaseFile:
    """Returns the cases of a role, as they come with the software. Raises msgspec.ValidationError."""
    data = files("cli.conformance").joinpath(f"cases/{role}.yaml").read_bytes()
    raw = msgspec.convert(yaml.safe_load(data), _RawFile)
    cases = [Case(id=case.id, name=case.name, steps=[_step(step) for step in case.steps]) for case in raw.cases]
    return CaseFile(role=role, version=raw.version, digest=hashlib.sha256(data).hexdigest(), cases=cases)
