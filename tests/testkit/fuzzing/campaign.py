"""A campaign of fuzzing against a mesh that runs as people run it: every request of every contract, and every path.

Nothing may answer with an error of our own making (INTERNAL, UNKNOWN, 500), and no number that was asked about may turn
up in an answer's error, a log, a trace, a metric or a file.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import httpx
from google.protobuf.message import Message
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from cli.mesh.endpoints import Endpoints
from services.runtime.access.contracts import methods
from services.runtime.rpc.port import request_class
from tests.testkit.fuzzing.values import NUMBERS, json_values, messages

OURS = frozenset((grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.DATA_LOSS))
STREAM_SHARE = 10
"""A stream gets one input of so many: it has to be waited for."""
CALL_SECONDS = 10.0
STREAM_SECONDS = 0.1
HTTP_SHARE = 10
"""One input of so many goes over HTTP."""


@dataclass
class Findings:
    """The findings of a campaign."""

    inputs: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def note(self, what: str, outcome: str, words: bytes, *, ours: bool) -> None:
        """Counts an answer; `words` is what was said of an error."""
        self.inputs += 1
        self.outcomes[outcome] += 1
        if ours:
            self.wrong.append(f"{what}: {outcome}: {words[:300]!r}")
        for number in NUMBERS:
            if number.encode() in words:
                self.wrong.append(f"{what}: {outcome} repeats a document's number")


def _service_targets(endpoints: Endpoints) -> Mapping[str, str]:
    return {
        "gateway": endpoints.gateway,
        "verdict": endpoints.verdict,
        "lookup": endpoints.lookup,
        "records": endpoints.records["430000"],
    }


def _generated(strategy: st.SearchStrategy[Any], count: int, use: Callable[[Any], None]) -> None:
    @settings(
        max_examples=count,
        phases=[Phase.generate],
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        derandomize=False,
    )
    @given(strategy)
    def each(value: Any) -> None:
        use(value)

    each()


def over_grpc(endpoints: Endpoints, inputs: int, findings: Findings) -> None:
    """Sends so many requests in all, shared among the methods of every contract."""
    targets = _service_targets(endpoints)
    # A witness is served by those who are told to be one.
    all_methods = {name: method for name, method in methods() if name.split(".")[1] in targets}
    streams = [name for name, method in all_methods.items() if method.server_streaming]
    each = max(1, inputs * STREAM_SHARE // ((len(all_methods) - len(streams)) * STREAM_SHARE + len(streams)))
    channels = {part: grpc.insecure_channel(target) for part, target in targets.items()}
    for name, method in all_methods.items():
        channel = channels[name.split(".")[1]]
        kind = request_class(method)
        streaming = method.server_streaming
        count = max(1, each // STREAM_SHARE) if streaming else each
        call = _call(channel, name, method, kind)

        def send(request: Message, name: str = name, call: Any = call, streaming: bool = streaming) -> None:
            metadata = [("hutong-caller", "fuzz")]
            try:
                if streaming:
                    next(iter(call(request, timeout=STREAM_SECONDS, metadata=metadata)), None)
                else:
                    call(request, timeout=CALL_SECONDS, metadata=metadata)
            except grpc.RpcError as error:
                code = error.code()
                said = [str(error.details()).encode()]
                trailing: Any = error.trailing_metadata() or ()
                said += [value if isinstance(value, bytes) else value.encode() for _, value in trailing]
                late = code is grpc.StatusCode.DEADLINE_EXCEEDED and not streaming
                findings.note(name, code.name, b" ".join(said), ours=code in OURS or late)
            else:
                findings.note(name, "OK", b"", ours=False)

        _generated(messages(kind), count, send)
    for channel in channels.values():
        channel.close()


def _call(channel: grpc.Channel, name: str, method: Any, kind: type[Message]) -> Any:
    serialise = kind.SerializeToString
    if method.client_streaming:
        make = channel.stream_stream(f"/{name}", request_serializer=serialise, response_deserializer=bytes)
        return lambda request, **options: make(iter([request]), **options)
    if method.server_streaming:
        return channel.unary_stream(f"/{name}", request_serializer=serialise, response_deserializer=bytes)
    return channel.unary_unary(f"/{name}", request_serializer=serialise, response_deserializer=bytes)


def over_http(endpoints: Endpoints, inputs: int, findings: Findings) -> None:
    """Sends so many bodies in all, shared among the operations that the OpenAPI document describes."""
    with httpx.Client(base_url=endpoints.http, timeout=CALL_SECONDS) as http:
        document = http.get("/openapi.json").json()
        posts = [
            (path, operation["post"]["requestBody"]["content"]["application/json"]["schema"])
            for path, operation in document["paths"].items()
            if "post" in operation and "requestBody" in operation["post"]
        ]
        for path, schema in posts:

            def send(body: Any, path: str = path) -> None:
                content = json.dumps(body).encode()
                reply = http.post(path, content=content, headers={"content-type": "application/json"})
                failed = reply.status_code >= 400
                said = reply.content + str(dict(reply.headers)).encode() if failed else b""
                findings.note(path, f"HTTP {reply.status_code}", said, ours=reply.status_code in (500, 501, 504))

            _generated(json_values(schema, document), max(1, inputs // len(posts)), send)


def leaks(data: Path, elsewhere: Mapping[str, bytes]) -> Iterator[str]:
    """Yields each place where a number that was asked about turns up: a file of the mesh, or what is given by name."""
    found = {str(path.relative_to(data)): path.read_bytes() for path in sorted(data.rglob("*")) if path.is_file()}
    for where, content in {**found, **elsewhere}.items():
        for number in NUMBERS:
            if number.encode() in content:
                yield f"{where}: {number}"
