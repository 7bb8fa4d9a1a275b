"""The ASGI application: from a request to its route, and from whatever happens there to a reply."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from gateway.http.connections import WHOLE
from gateway.http.names import PURPOSE
from gateway.http.problems import HttpError, of_error, problem
from gateway.http.routing import JSON, Incoming, Route
from gateway.metrics import REQUESTS
from services.common.errors import Code, DeadlineExceeded, ServiceError, Text, invalid
from services.runtime.rpc.call import Call
from services.runtime.rpc.errors import internal
from services.runtime.rpc.pipeline import Pipeline
from services.runtime.telemetry.trace import Trace, Traces

log = logging.getLogger("hutong.http")

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]

LONGEST_BODY = 1 << 20
CALLER = "http"
"""Who calls, as far as the guard is told; a bearer token will say more."""


class HttpApplication:
    """Serves routes, by path, over HTTP, each through the pipeline. `seconds` is the deadline of a request, `traces`
    where its trace comes from."""

    def __init__(self, routes: Mapping[str, Route], pipeline: Pipeline, traces: Traces, *, seconds: float) -> None:
        self._routes = routes
        self._pipeline = pipeline
        self._traces = traces
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request, as ASGI has it."""
        if scope["type"] != "http":
            raise RuntimeError("only HTTP is served")
        content_type = length = purpose = traceparent = None
        for name, value in scope["headers"]:
            if name == b"content-type":
                content_type = value
            elif name == b"content-length":
                length = value
            elif name == b"traceparent":
                traceparent = value
            elif name == b"hutong-purpose":
                purpose = value
        trace = self._trace(traceparent)
        operation, outcome = "unknown", "OK"
        try:
            route = self._route(scope)
            operation = route.operation
            body = b""
            if route.method == "POST":
                if WHOLE in scope.get("state", ()):
                    body = await _body(receive, length, content_type)
                else:
                    # A body that never comes must not hold a connection.
                    async with asyncio.timeout(self._seconds):
                        body = await _body(receive, length, content_type)
            incoming = Incoming(body, scope["query_string"], _purpose(purpose))
            call = Call(CALLER, time.monotonic() + self._seconds, trace)
            span_name = f"{route.method} {scope['path']}" if trace.sampled else ""
            reply = await route.serve(incoming, call, self._pipeline, span_name)
            if reply.status != 200:
                outcome = "UNAVAILABLE"
        except ServiceError as error:
            reply, outcome = of_error(error, trace.hex_id), error.code.name
        except HttpError as error:
            reply, outcome = (
                problem(error.status, error.reason, error.text, trace.hex_id, headers=error.headers),
                error.reason,
            )
        except TimeoutError:
            late = DeadlineExceeded("请求体未及时到达", "The body did not come in time")
            reply, outcome = of_error(late, trace.hex_id), late.code.name
        except Exception:
            # Nothing of it reaches the caller but the trace id.
            log.exception("unexpected error", extra={"operation": operation, "trace_id": trace.hex_id})
            reply, outcome = of_error(internal(trace.hex_id), trace.hex_id), "INTERNAL"
        REQUESTS.add("http", operation, outcome)
        headers = [
            (b"content-type", reply.content_type),
            (b"content-length", b"%d" % len(reply.body)),
            (b"traceparent", trace.traceparent().encode()),
            *reply.headers,
        ]
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": reply.body})

    def _trace(self, traceparent: bytes | None) -> Trace:
        trace = self._traces(None if traceparent is None else traceparent.decode("latin-1"))
        if trace.span_id or trace.sampled:
            return trace
        # A trace that begins here and is not recorded has no span; the header that names it must not say so.
        return Trace(trace.trace_id, trace.trace_id & 0xFFFF_FFFF_FFFF_FFFF or 1, False)

    def _route(self, scope: Scope) -> Route:
        route = self._routes.get(scope["path"])
        if route is None:
            raise HttpError(404, "PATH_UNKNOWN", Text("没有这个路径，见 /docs", "There is no such path; see /docs"))
        method = scope["method"]
        if method != route.method and not (method == "HEAD" and route.method == "GET"):
            allowed = b"POST" if route.method == "POST" else b"GET, HEAD"
            text = Text(f"应使用 {route.method}", f"Use {route.method}")
            raise HttpError(405, "METHOD_NOT_ALLOWED", text, ((b"allow", allowed),))
        return route


def _purpose(header: bytes | None) -> int:
    if header is None:
        return 0
    purpose = PURPOSE.values.get(header.decode("latin-1"))
    if purpose is None:
        raise invalid("hutong-purpose", "PURPOSE_UNKNOWN", "没有这种使用目的", "There is no such purpose")
    return purpose


async def _body(receive: Receive, length: bytes | None, content_type: bytes | None) -> bytes:
    if length is not None and len(length) > 6 and int(length) > LONGEST_BODY:
        raise _too_large()
    if content_type not in (JSON, None) and not _is_json(content_type):
        text = Text("内容类型应为 application/json", "The content type is application/json")
        raise HttpError(415, "CONTENT_TYPE_UNSUPPORTED", text, ((b"accept", JSON),))
    event = await receive()
    body: bytes = event.get("body", b"")
    if event.get("more_body"):
        pieces, size = [body], len(body)
        while event.get("more_body"):
            event = await receive()
            if event["type"] == "http.disconnect":
                raise ServiceError(Code.CANCELLED, "CANCELLED", Text("连接已断开", "The connection is gone"))
            pieces.append(event.get("body", b""))
            size += len(pieces[-1])
            if size > LONGEST_BODY:
                raise _too_large()
        body = b"".join(pieces)
    if len(body) > LONGEST_BODY:
        raise _too_large()
    return body


def _is_json(content_type: bytes | None) -> bool:
    return content_type is not None and content_type.split(b";")[0].strip().lower() == JSON


def _too_large() -> HttpError:
    return HttpError(413, "BODY_TOO_LARGE", Text("请求体不得超过 1 MiB", "A body has at most 1 MiB"))
