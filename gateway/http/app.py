"""The ASGI application: from a request to its route, and from whatever happens there to a reply."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import NamedTuple

from gateway.http.asgi import Receive, Scope, Send
from gateway.http.bodies import BodyHeaders, read_body
from gateway.http.connections import WHOLE
from gateway.http.encodings import LEAST_BYTES, accepts_gzip, gzipped
from gateway.http.names import PURPOSE
from gateway.http.problems import HttpError, of_error, problem
from gateway.http.routing import Incoming, Reply, Route
from gateway.identity.callers import DEVELOPMENT, NOBODY, Callers, at_the_machine
from gateway.identity.origins import Origins
from gateway.load.weights import HEAVY_PURPOSES
from gateway.metrics import REQUESTS
from services.common.errors import DeadlineExceeded, ServiceError, Text, invalid
from services.runtime.resilience.overload import Overload, Weight
from services.runtime.rpc.addresses import Addresses
from services.runtime.rpc.call import Call
from services.runtime.rpc.errors import internal
from services.runtime.rpc.failures import log_failure
from services.runtime.rpc.pipeline import Pipeline
from services.runtime.telemetry.trace import Trace, Traces

log = logging.getLogger("hutong.http")

_PROXIED = frozenset((b"forwarded", b"x-forwarded-host", b"x-real-ip", b"via"))
"""A request with one of these came through a proxy, from wherever."""
_DEVELOPMENT = (b"hutong-principal", b"development")
_NO_STORE = (b"cache-control", b"no-store")


class Pipelines(NamedTuple):
    """The pipeline of paths that are open to all, and that of the contract's methods."""

    open: Pipeline
    guarded: Pipeline


class HttpApplication:
    """Serves routes, by path, over HTTP, each through the pipeline of what is open to all or that of what is not.
    `seconds` is the deadline of a request, `traces` where its trace comes from, `callers` tells who sends it and
    `addresses` where from, `origins` whose pages may read the answers."""

    def __init__(
        self,
        routes: Mapping[str, Route],
        pipelines: Pipelines,
        traces: Traces,
        overload: Overload,
        callers: Callers,
        *,
        seconds: float,
        addresses: Addresses,
        origins: Iterable[str] = (),
    ) -> None:
        self.routes = routes
        self._pipelines = pipelines
        self._callers = callers
        self._origins = Origins(origins)
        self._traces = traces
        self._overload = overload
        self._seconds = seconds
        self._addresses = addresses

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request, as ASGI has it."""
        if scope["type"] != "http":
            raise RuntimeError("only HTTP is served")
        content_type = encoding = length = purpose = traceparent = host = authorization = origin = None
        hosts, tokens, gzip, proxied = 0, 0, False, False
        forwarded: list[bytes] = []
        for name, value in scope["headers"]:
            if name == b"host":
                host = value
                hosts += 1
            elif name == b"authorization":
                authorization = value
                tokens += 1
            elif name == b"origin":
                origin = value
            elif name in _PROXIED:
                proxied = True
            elif name == b"content-type":
                content_type = value
            elif name == b"content-length":
                length = value
            elif name == b"accept-encoding":
                gzip = accepts_gzip(value)
            elif name == b"traceparent":
                traceparent = value
            elif name == b"hutong-purpose":
                purpose = value
            elif name == b"x-forwarded-for":
                forwarded.append(value)
                proxied = True
            elif name == b"content-encoding":
                encoding = value if encoding is None else encoding + b"," + value
        trace = self._trace(traceparent)
        operation, outcome = "unknown", "OK"
        caller, route = NOBODY, None
        try:
            if hosts != 1 and (hosts or scope["http_version"] != "1.0"):
                raise HttpError(400, "HOST_REQUIRED", Text("应有且仅有一个 Host", "There is exactly one Host"))
            route = self._route(scope)
            operation = route.operation
            if scope["method"] == "OPTIONS":
                reply = Reply(b"", 204, headers=((b"allow", _allowed(route)), *self._origins.preflight(origin)))
            else:
                if not route.open:
                    caller = await self._callers.over_http(authorization, tokens, host, proxied=proxied)
                headers = BodyHeaders(content_type, encoding, length)
                call = Call(
                    caller.name,
                    time.monotonic() + self._seconds,
                    trace,
                    persons=caller.persons,
                    users=caller.users,
                    proven=caller.proven,
                    address=self._address(scope, forwarded),
                    refusal=caller.refusal,
                    names=caller.names,
                )
                local = route.open and at_the_machine(host, proxied=proxied)
                reply = await self._serve(route, scope, receive, headers, _purpose(purpose), call, local=local)
                if reply.status != 200:
                    outcome = "UNAVAILABLE"
        except ServiceError as error:
            reply, outcome = of_error(error, trace.hex_id), error.code.name
            log_failure(operation, caller.name, trace.hex_id, outcome, error.reason)
        except HttpError as error:
            reply = problem(error.status, error.reason, error.text, trace.hex_id, headers=error.headers)
            outcome = error.reason
            log_failure(operation, caller.name, trace.hex_id, f"HTTP {error.status}", error.reason)
        except TimeoutError:
            late = DeadlineExceeded("请求体未及时到达", "The body did not come in time")
            reply, outcome = of_error(late, trace.hex_id), late.code.name
            log_failure(operation, caller.name, trace.hex_id, outcome, late.reason)
        except Exception:
            # Nothing of it reaches the caller but the trace id.
            log.exception("unexpected error", extra={"operation": operation, "trace_id": trace.hex_id})
            reply, outcome = of_error(internal(trace.hex_id), trace.hex_id), "INTERNAL"
        REQUESTS.add("http", operation, outcome)
        more = [] if route is not None and route.open else [_NO_STORE]
        if caller is DEVELOPMENT:
            more.append(_DEVELOPMENT)
        if origin is not None:
            more.extend(self._origins.headers(origin))
        await _send(send, reply, trace, more, gzip=gzip)

    async def _serve(
        self,
        route: Route,
        scope: Scope,
        receive: Receive,
        headers: BodyHeaders,
        purpose: int,
        call: Call,
        *,
        local: bool,
    ) -> Reply:
        weight = route.weight
        if weight is not None:
            if purpose in HEAVY_PURPOSES:
                weight = Weight.HEAVY
            self._overload.begin(weight)
        try:
            body = b""
            if route.method == "POST":
                if WHOLE in scope.get("state", ()):
                    body = await read_body(receive, headers, changes=route.changes)
                else:
                    # A body that never comes must not hold a connection.
                    async with asyncio.timeout(self._seconds):
                        body = await read_body(receive, headers, changes=route.changes)
            incoming = Incoming(body, scope["query_string"], purpose, local)
            span_name = f"{route.method} {scope['path']}" if call.trace.sampled else ""
            pipeline = self._pipelines.open if route.open else self._pipelines.guarded
            return await route.serve(incoming, call, pipeline, span_name)
        finally:
            if weight is not None:
                self._overload.end(weight)

    def _address(self, scope: Scope, forwarded: Sequence[bytes]) -> str:
        client = scope.get("client")
        said = b",".join(forwarded).decode("latin-1") if forwarded and self._addresses.forwarded else None
        return self._addresses.of(client[0], said) if client else ""

    def _trace(self, traceparent: bytes | None) -> Trace:
        trace = self._traces(None if traceparent is None else traceparent.decode("latin-1"))
        if trace.span_id or trace.sampled:
            return trace
        # A trace that begins here and is not recorded has no span; the header that names it must not say so.
        return Trace(trace.trace_id, trace.trace_id & 0xFFFF_FFFF_FFFF_FFFF or 1, False)

    def _route(self, scope: Scope) -> Route:
        path: str = scope["path"]
        route = self.routes.get(path) or self.routes.get(path.removesuffix("/"))
        if route is None:
            raise HttpError(404, "PATH_UNKNOWN", Text("没有这个路径，见 /docs", "There is no such path; see /docs"))
        method = scope["method"]
        if method not in (route.method, "OPTIONS") and not (method == "HEAD" and route.method == "GET"):
            text = Text(f"应使用 {route.method}", f"Use {route.method}")
            raise HttpError(405, "METHOD_NOT_ALLOWED", text, ((b"allow", _allowed(route)),))
        return route


def _allowed(route: Route) -> bytes:
    return b"POST, OPTIONS" if route.method == "POST" else b"GET, HEAD, OPTIONS"


def _purpose(header: bytes | None) -> int:
    if header is None:
        return 0
    purpose = PURPOSE.values.get(header.decode("latin-1"))
    if purpose is None:
        raise invalid("hutong-purpose", "PURPOSE_UNKNOWN", "没有这种使用目的", "There is no such purpose")
    return purpose


async def _send(send: Send, reply: Reply, trace: Trace, more: Iterable[tuple[bytes, bytes]], *, gzip: bool) -> None:
    if reply.pieces is not None:
        await _send_pieces(send, reply, reply.pieces, trace, more)
        return
    size = len(reply.body) + len(reply.kept)
    compressible = size > LEAST_BYTES
    body = gzipped(reply.body, reply.kept) if compressible and gzip else reply.body + reply.kept
    headers = [
        (b"content-type", reply.content_type),
        (b"content-length", b"%d" % len(body)),
        (b"traceparent", trace.traceparent().encode()),
        *reply.headers,
        *more,
    ]
    if reply.status == 204:
        # Nothing has no type and no length.
        del headers[:2]
    elif compressible:
        headers.append((b"vary", b"accept-encoding"))
        if gzip:
            headers.append((b"content-encoding", b"gzip"))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _send_pieces(
    send: Send, reply: Reply, pieces: AsyncIterator[bytes], trace: Trace, more: Iterable[tuple[bytes, bytes]]
) -> None:
    """Sends a reply whose length is not known yet. What fails on the way breaks the connection off: nobody takes a part
    for the whole."""
    headers = [
        (b"content-type", reply.content_type),
        (b"traceparent", trace.traceparent().encode()),
        *reply.headers,
        *more,
    ]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    async for piece in pieces:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
