"""The ASGI application. Showing one cached code is what it is made for; everything else goes through routes."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from hutong.common.v1.subject_pb2 import Purpose
from hutong.gateway.v1.health_code_service_pb2 import ShowHealthCodeRequest

from gateway.application.admission import Question
from gateway.application.application import Application
from gateway.codes.codes import Shown
from gateway.http import views
from gateway.http.connections import WHOLE
from gateway.http.problems import CONTENT_TYPE, HttpError, of_error, problem
from gateway.http.requests import Decoder, QueryBody
from gateway.http.routes import JSON, Handler, Incoming, Reply, Route
from gateway.metrics import REQUESTS
from services.common.errors import Code, DeadlineExceeded, ServiceError, Text, invalid
from services.runtime.rpc.access import Guard
from services.runtime.rpc.call import Call, enter, leave
from services.runtime.rpc.errors import internal
from services.runtime.telemetry.trace import SpanKind, Trace, Traces, span

log = logging.getLogger("hutong.http")

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]

SHOW = "/v1/healthCode:show"
LONGEST_BODY = 1 << 20
CALLER = "http"
"""Who calls, as far as the guard is told; a bearer token will say more."""
PURPOSES = views.EnumNames(Purpose, "PURPOSE_")

_SHOW_CODE = Purpose.PURPOSE_SHOW_CODE


class HttpApplication:
    """Serves one application over HTTP. `seconds` is the deadline of a request, `traces` where its trace comes from."""

    def __init__(
        self, application: Application, routes: Mapping[str, Route], guard: Guard, traces: Traces, *, seconds: float
    ) -> None:
        self.application = application
        self._show = Route("POST", "ShowHealthCode", self._show_asked)
        self._routes = {SHOW: self._show, **routes}
        self._guard = guard
        self._traces = traces
        self._seconds = seconds
        self._query = Decoder(QueryBody)
        # What the guard asks about a request is its purpose; one message for each will do.
        self._asking = {
            number: ShowHealthCodeRequest(purpose=number)  # type: ignore[arg-type]  # numbers of the enum
            for number in PURPOSES.values.values()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, as ASGI has it."""
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
            admitted = self._admitted(operation, purpose)
            if route is self._show and not trace.sampled:
                # Before anything else is set up: a cached code needs none of it.
                question = self._query(body).question(self.application.admission)
                code = self.application.codes.peek(question)
                reply = Reply(code) if code is not None else await self._show_known(question, admitted, trace)
            else:
                reply = await self._serve(route, scope["path"], Incoming(body, scope["query_string"], admitted, trace))
                outcome = "OK" if reply.status == 200 else "UNAVAILABLE"
        except ServiceError as error:
            status, body = of_error(error, trace.hex_id)
            retry = ((b"retry-after", b"1"),) if status == 503 else ()
            reply, outcome = Reply(body, status, CONTENT_TYPE, retry), error.code.name
        except HttpError as error:
            body = problem(error.status, error.reason, error.text, trace.hex_id)
            reply, outcome = Reply(body, error.status, CONTENT_TYPE, error.headers), error.reason
        except TimeoutError:
            status, body = of_error(DeadlineExceeded("请求体未及时到达", "The body did not come in time"), trace.hex_id)
            reply, outcome = Reply(body, status, CONTENT_TYPE), "DEADLINE_EXCEEDED"
        except Exception:
            # Nothing of it reaches the caller but the trace id.
            log.exception("unexpected error", extra={"operation": operation, "trace_id": trace.hex_id})
            status, body = of_error(internal(trace.hex_id), trace.hex_id)
            reply, outcome = Reply(body, status, CONTENT_TYPE), "INTERNAL"
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

    def _admitted(self, operation: str, header: bytes | None) -> Purpose.ValueType:
        purpose: int = _SHOW_CODE
        if header is not None:
            purpose = PURPOSES.values.get(header.decode("latin-1"), 0)
            if not purpose:
                raise invalid("hutong-purpose", "PURPOSE_UNKNOWN", "没有这种使用目的", "There is no such purpose")
        return self._guard.admit(CALLER, operation, self._asking[purpose])

    async def _serve(self, route: Route, path: str, incoming: Incoming) -> Reply:
        if not incoming.trace.sampled:
            return await self._within(route.handler, incoming)
        with span("gateway", f"{route.method} {path}", SpanKind.SERVER, incoming.trace) as here:
            return await self._within(route.handler, incoming._replace(trace=here.trace))

    async def _within(self, handler: Handler, incoming: Incoming) -> Reply:
        entered = enter(self._call(incoming.purpose, incoming.trace))
        try:
            async with asyncio.timeout(self._seconds):
                return await handler(incoming)
        except TimeoutError:
            raise DeadlineExceeded() from None
        finally:
            leave(entered)

    async def _show_asked(self, incoming: Incoming) -> Reply:
        question = self._query(incoming.body).question(self.application.admission)
        return Reply((await self.application.show(question, incoming.purpose)).json())

    async def _show_known(self, question: Question, purpose: Purpose.ValueType, trace: Trace) -> Reply:
        looked = await self.application.codes.look(question)
        if isinstance(looked, Shown):
            return Reply((await self.application.codes.show(question, looked, purpose)).json())
        # Without a timer: what computes a code ends before the call's deadline by itself.
        entered = enter(self._call(purpose, trace))
        try:
            return Reply((await self.application.codes.show(question, looked, purpose)).json())
        finally:
            leave(entered)

    def _call(self, purpose: Purpose.ValueType, trace: Trace) -> Call:
        return Call(CALLER, time.monotonic() + self._seconds, trace, purpose)


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
