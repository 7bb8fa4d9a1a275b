"""Calls as any client makes them: a contract's method by its name, messages as JSON, errors as they are decoded from
`grpc-status-details-bin` or a problem of HTTP."""

import asyncio
import urllib.error
import urllib.request
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Protocol, cast

import grpc
import msgspec
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hutong.gateway.v1 import health_code_service_pb2
from hutong.records.v1 import (
    change_feed_service_pb2,
    intake_service_pb2,
    record_read_service_pb2,
    record_write_service_pb2,
)
from hutong.verdict.v1 import verdict_service_pb2

from cli.conformance.json_values import Json
from services.runtime.rpc.connection import PlaintextChannels
from services.runtime.rpc.errors import from_rpc_error
from services.runtime.rpc.peers import CALLER_KEY
from services.runtime.tls.channel import CertifiedChannels
from services.runtime.tls.files import TlsFiles
from services.runtime.tls.identity import Principal

SECONDS = 10.0
"""The deadline of a call."""
LARGEST_MESSAGE = 64 << 20
"""Bytes of an answer that are read."""

_CONTRACTS = (
    health_code_service_pb2,
    change_feed_service_pb2,
    intake_service_pb2,
    record_read_service_pb2,
    record_write_service_pb2,
    verdict_service_pb2,
)
METHODS: Mapping[str, MethodDescriptor] = {
    f"{service.full_name}/{method.name}": method
    for contract in _CONTRACTS
    for service in contract.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}


class Refusal(Exception):
    """An answer that is an error. `code` is the name of a gRPC code or an HTTP status, `fields` reasons by field."""

    def __init__(self, code: str | int, reason: str, fields: Mapping[str, str], metadata: Mapping[str, Json]) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason
        self.fields = dict(fields)
        self.metadata = dict(metadata)

    def __str__(self) -> str:
        return f"{self.code} {self.reason} {self.fields or ''}".rstrip()


class WrongCaseError(ValueError):
    """A case names a method or a field that no contract has."""


class _Write(Protocol):
    async def write(self, request: Message) -> None: ...

    async def read(self) -> object: ...

    def cancel(self) -> bool: ...


def refusal(error: grpc.aio.AioRpcError) -> Refusal:
    """Returns the error of a call, with the details it carries."""
    decoded = from_rpc_error(error, "target")
    fields = {violation.field: violation.reason for violation in decoded.violations}
    return Refusal(error.code().name, decoded.reason, fields, dict(decoded.metadata))


class GrpcTarget:
    """One gRPC target. `files` are the certificate to show, None where the target takes none; `token` is a bearer's."""

    def __init__(self, address: str, peer: Principal, caller: str, files: TlsFiles | None, token: str = "") -> None:
        opener = PlaintextChannels() if files is None else CertifiedChannels(files, peer)
        self._channel = opener.open(address, [("grpc.max_receive_message_length", LARGEST_MESSAGE)])
        self._metadata = [(CALLER_KEY, caller)]
        if token:
            self._metadata.append(("authorization", f"Bearer {token}"))

    async def close(self) -> None:
        """Closes the connection."""
        await self._channel.close()

    async def send(self, method: MethodDescriptor, request: Message, seconds: float = SECONDS) -> Message:
        """Makes a call that is answered once. Raises Refusal."""
        invoke = self._channel.unary_unary(
            _path(method),
            request_serializer=_serialise,
            response_deserializer=GetMessageClass(method.output_type).FromString,
        )
        try:
            return await invoke(request, timeout=seconds, metadata=self._metadata)
        except grpc.aio.AioRpcError as error:
            raise refusal(error) from None

    async def call(self, name: str, request: Json) -> Json:
        """Makes a call with JSON. Raises Refusal, WrongCaseError."""
        method = _method(name)
        return to_json(await self.send(method, to_message(method, request)))

    async def watch(
        self, method: MethodDescriptor, request: Message, seconds: float = SECONDS
    ) -> AsyncGenerator[Message, None]:
        """Yields what a stream brings, for so many seconds. Raises Refusal."""
        invoke = self._channel.unary_stream(
            _path(method),
            request_serializer=_serialise,
            response_deserializer=GetMessageClass(method.output_type).FromString,
        )
        stream = invoke(request, timeout=seconds, metadata=self._metadata)
        try:
            async for message in stream:
                yield message
        except grpc.aio.AioRpcError as error:
            raise refusal(error) from None
        finally:
            stream.cancel()

    @asynccontextmanager
    async def converse(self, name: str) -> AsyncIterator["Conversation"]:
        """Opens a stream in both directions, and cuts it off at the end. Raises WrongCaseError."""
        method = _method(name)
        invoke = self._channel.stream_stream(
            _path(method),
            request_serializer=_serialise,
            response_deserializer=GetMessageClass(method.output_type).FromString,
        )
        stream = cast(_Write, invoke(timeout=SECONDS, metadata=self._metadata))
        try:
            yield Conversation(method, stream)
        finally:
            stream.cancel()


class Conversation:
    """A stream in both directions of which each message is answered."""

    def __init__(self, method: MethodDescriptor, stream: _Write) -> None:
        self._method = method
        self._stream = stream

    async def say(self, request: Json) -> Json:
        """Sends a message and returns its answer. Raises Refusal."""
        message = to_message(self._method, request)
        try:
            await self._stream.write(message)
            answer = await self._stream.read()
        except grpc.aio.AioRpcError as error:
            raise refusal(error) from None
        if not isinstance(answer, Message):
            raise Refusal("OK", "STREAM_ENDED", {}, {})
        return to_json(answer)


def _serialise(message: Message) -> bytes:
    return message.SerializeToString()


def _path(method: MethodDescriptor) -> str:
    return f"/{method.containing_service.full_name}/{method.name}"


def _method(name: str) -> MethodDescriptor:
    if name not in METHODS:
        raise WrongCaseError(f"no such method: {name}")
    return METHODS[name]


def to_message(method: MethodDescriptor, request: Json) -> Message:
    """Returns a request of this method. Raises WrongCaseError."""
    message = GetMessageClass(method.input_type)()
    try:
        return ParseDict(cast("dict[str, object]", request), message)
    except ParseError as error:
        raise WrongCaseError(f"{method.name}: {error}") from None


def to_json(message: Message) -> Json:
    """Returns a message as JSON with the contract's names and every field that is always there."""
    return cast(
        Json, MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
    )


class HttpTarget:
    """A gateway over HTTP, by its base URL."""

    def __init__(self, url: str, token: str = "") -> None:
        self._url = url.rstrip("/")
        self._token = token

    async def request(self, line: str, body: Json, headers: Mapping[str, str], *, anonymous: bool = False) -> Json:
        """Makes one request and returns the answer's JSON. Raises Refusal; OSError where nobody answers."""
        return await asyncio.to_thread(self._request, line, body, headers, anonymous)

    def _request(self, line: str, body: Json, headers: Mapping[str, str], anonymous: bool) -> Json:
        verb, _, path = line.partition(" ")
        sent = dict(headers)
        if self._token and not anonymous:
            sent["authorization"] = f"Bearer {self._token}"
        data = None
        if body is not None:
            sent["content-type"] = "application/json"
            data = body.encode() if isinstance(body, str) else msgspec.json.encode(body)
        # The scheme is that of TARGET, which is http or https.
        request = urllib.request.Request(self._url + path, data, sent, method=verb)
        try:
            with urllib.request.urlopen(request, timeout=SECONDS) as answer:
                return cast(Json, msgspec.json.decode(answer.read(LARGEST_MESSAGE)))
        except urllib.error.HTTPError as error:
            raise _problem(error.code, error.read(LARGEST_MESSAGE)) from None


class _Violation(msgspec.Struct):
    field: str = ""
    reason: str = ""


class _Problem(msgspec.Struct):
    reason: str = ""
    violations: list[_Violation] = []
    metadata: dict[str, Json] = {}


def _problem(status: int, body: bytes) -> Refusal:
    try:
        problem = msgspec.json.decode(body, type=_Problem)
    except msgspec.MsgspecError:
        return Refusal(status, "NO_PROBLEM_JSON", {}, {})
    fields = {violation.field: violation.reason for violation in problem.violations}
    return Refusal(status, problem.reason, fields, problem.metadata)
