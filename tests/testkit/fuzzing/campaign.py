"""A campaign of fuzzing against a mesh that runs as people run it: every request of every contract, every path with its
heads and bodies, and tokens.

Nothing may answer with an error of our own making (INTERNAL, UNKNOWN, 500), and no number that was asked about may turn
up in an answer's error, a log, a trace, a metric, a cache or a file.
"""

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from google.protobuf.message import Message
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from jwt import PyJWS

from cli.mesh.endpoints import Endpoints
from gateway.identity.development import AUDIENCE, KEY, NAME
from services.runtime.access.contracts import methods
from services.runtime.access.table import read_table
from services.runtime.rpc.port import request_class
from tests.testkit.fuzzing.heads import Head, claims_of_tokens, heads, metadata_entries
from tests.testkit.fuzzing.places import numbers_in
from tests.testkit.fuzzing.values import RESIDENTS, json_values, messages

TABLE = read_table()
Drawn = tuple[Message, list[tuple[str, str]]]
"""A request and its metadata."""
OURS = frozenset((grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.DATA_LOSS))
OUR_STATUSES = frozenset((500, 501, 502, 504))
STREAM_SHARE = 10
"""A stream gets one input of so many: it has to be waited for."""
CALL_SECONDS = 10.0
STREAM_SECONDS = 0.1


@dataclass
class Findings:
    """The findings of a campaign."""

    inputs: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def note(self, what: str, outcome: str, words: bytes, *, ours: bool) -> None:
        """Counts an answer; `words` is all that was said."""
        self.inputs += 1
        self.outcomes[outcome] += 1
        if ours:
            self.wrong.append(f"{what}: {outcome}: {words[:300]!r}")
        if numbers_in(words):
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
    each = -(-inputs * STREAM_SHARE // ((len(all_methods) - len(streams)) * STREAM_SHARE + len(streams)))
    channels = {part: grpc.insecure_channel(target) for part, target in targets.items()}
    for name, method in all_methods.items():
        channel = channels[name.split(".")[1]]
        kind = request_class(method)
        streaming = method.server_streaming
        count = -(-each // STREAM_SHARE) if streaming else each
        call = _call(channel, name, method, kind)

        def send(drawn: Drawn, name: str = name, call: Any = call, streaming: bool = streaming) -> None:
            request, metadata = drawn
            answer: Any = b""
            try:
                if streaming:
                    answer = next(iter(call(request, timeout=STREAM_SECONDS, metadata=metadata)), b"")
                else:
                    answer = call(request, timeout=CALL_SECONDS, metadata=metadata)
            except grpc.RpcError as error:
                code = error.code()
                said = [str(error.details()).encode()]
                trailing: Any = error.trailing_metadata() or ()
                said += [value if isinstance(value, bytes) else value.encode() for _, value in trailing]
                late = code is grpc.StatusCode.DEADLINE_EXCEEDED and not streaming
                findings.note(name, code.name, b" ".join(said), ours=code in OURS or late)
            else:
                findings.note(name, "OK", answer, ours=False)

        _generated(st.tuples(messages(kind, TABLE.rules[name].purposes), metadata_entries()), count, send)
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


def over_bodies(endpoints: Endpoints, inputs: int, findings: Findings) -> None:
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
                _note(findings, path, http.post(path, content=content, headers={"content-type": "application/json"}))

            _generated(json_values(schema, document), -(-inputs // len(posts)), send)


def over_heads(endpoints: Endpoints, inputs: int, findings: Findings) -> None:
    """Sends so many requests whose methods, paths, queries and headers are made up, of what is served and beside it."""
    with httpx.Client(base_url=endpoints.http, timeout=CALL_SECONDS) as http:
        paths = list(http.get("/openapi.json").json()["paths"])

        def send(head: Head) -> None:
            body = b'{"document": {}}' if head.method in ("POST", "PUT", "PATCH") else None
            reply = http.request(head.method, head.target, headers=head.headers, content=body)
            _note(findings, f"{head.method} {head.target.partition('?')[0]}", reply)

        _generated(heads(paths), inputs, send)


def over_tokens(endpoints: Endpoints, development: Path, inputs: int, findings: Findings) -> None:
    """Shows so many tokens whose claims are made up, signed with the key that lies in the folder of the development
    issuer."""
    key = load_pem_private_key((development / KEY).read_bytes(), None)
    assert isinstance(key, Ed25519PrivateKey)
    with httpx.Client(base_url=endpoints.http, timeout=CALL_SECONDS) as http:

        def send(claims: dict[str, Any]) -> None:
            stated = {"iss": NAME, "aud": AUDIENCE, "exp": int(time.time()) + 600, **claims}
            # Signed as they are: what makes tokens for us looks over what it signs.
            token = PyJWS().encode(json.dumps(stated).encode(), key, "EdDSA", {"kid": "development"})
            headers = {"authorization": f"Bearer {token}", "hutong-purpose": "SUPERVISION"}
            body = {"document": {"type": "RESIDENT_ID", "number": RESIDENTS[0]}, "region": "110000"}
            _note(findings, "a token", http.post("/v1/healthCode:show", json=body, headers=headers))

        _generated(claims_of_tokens(), inputs, send)


def _note(findings: Findings, what: str, reply: httpx.Response) -> None:
    said = reply.content + str(dict(reply.headers)).encode()
    findings.note(what, f"HTTP {reply.status_code}", said, ours=reply.status_code in OUR_STATUSES)
