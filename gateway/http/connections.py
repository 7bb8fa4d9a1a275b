"""Connections of HTTP: none stays open that asks for nothing, none takes more than a head may have, and a drain loses
no request."""

import asyncio
from dataclasses import dataclass, field

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from gateway.http.problems import refusal
from services.common.errors import Text

WHOLE = "whole"
"""Set in a scope's state when the whole request came at once, as nearly all do: nobody need wait for its body."""

HEAD_BYTES = 16 * 1024
"""A head that is not complete after this many bytes is refused; what one read brings with it may double them."""
HEAD_FIELDS = 100
FRAMING = 8
"""How many bytes of chunked coding a byte of a body may cost, besides those of a head: 5 where each byte is a chunk.
What is more is trailers, or extensions of chunks; nobody here reads either."""
REFUSED_SECONDS = 1.0
"""How long what is still sent after a refusal is read, and dropped."""
LINGER_SECONDS = 0.5
"""How long a connection must have been idle at the end of a drain to be closed: its client may just be sending."""

_TOO_LARGE = refusal(431, "HEAD_TOO_LARGE", Text("请求头过大", "The head of the request is too large"))
_MALFORMED = refusal(400, "HTTP_MALFORMED", Text("不是有效的 HTTP 请求", "This is no valid HTTP request"))
_CONNECT = refusal(405, "METHOD_NOT_ALLOWED", Text("不支持 CONNECT", "CONNECT is not served"))


@dataclass(slots=True)
class Connections:
    """The bounds and the state that a server's connections share: seconds for a head, and between two requests."""

    head_seconds: float
    idle_seconds: float
    draining: bool = False
    """True once every answer is to be the last on its connection."""
    open: "set[Connection]" = field(default_factory=set)

    def drain(self) -> None:
        """Lets every connection end with its next answer."""
        self.draining = True
        for connection in self.open:
            connection.end_with_last_answer()


class Connection(HttpToolsProtocol):
    """A connection that is closed when the head of a request, its first one or any other, takes longer than
    `head_seconds` or has more than HEAD_BYTES or HEAD_FIELDS. A request that comes in one piece, after the first, costs
    no timer. uvicorn itself closes what is idle between two requests, and the application ends bodies that do not come.
    """

    shared: Connections

    _late: asyncio.TimerHandle | None = None
    _lingering: asyncio.TimerHandle | None = None
    _in_head = False
    _in_body = False
    _head_bytes = 0
    _head_ended = False
    _body_bytes = 0
    _sent_bytes = 0
    _refusal: bytes | None = None
    _last: RequestResponseCycle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Begins to wait for the first request."""
        super().connection_made(transport)
        self.shared.open.add(self)
        self.timeout_keep_alive = self.shared.idle_seconds  # type: ignore[assignment]  # seconds of call_later
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends the wait."""
        super().connection_lost(exc)
        self.shared.open.discard(self)
        self._came()
        self._stop_lingering()

    def data_received(self, data: bytes) -> None:
        """Feeds the parser; bytes that are no request, or not a whole head yet, are waited for like none at all."""
        self._unset_keepalive_if_required()
        # In pieces no larger than a head may still be: what is beyond is refused before it is kept.
        while data and self._refusal is None:
            was_in_body = self._in_body
            room = HEAD_BYTES if was_in_body else max(1, HEAD_BYTES - self._head_bytes)
            piece, data = (data, b"") if len(data) <= room else (data[:room], data[room:])
            self._sent_bytes += len(piece)
            data = self._feed(piece) + data
            if self._in_body and self._sent_bytes > 2 * HEAD_BYTES + (1 + FRAMING) * self._body_bytes:
                self._refuse(_TOO_LARGE)
            if was_in_body or self._in_body or self._head_ended:
                # What belonged to this request and what to the next cannot be told: one piece at most is not counted.
                self._head_bytes = 0
            else:
                self._head_bytes += len(piece)
                if self._head_bytes >= HEAD_BYTES:
                    self._refuse(_TOO_LARGE)
        if self._refusal is None and self._late is None and (self._in_head or self._answered()):
            self._wait()

    def _feed(self, piece: bytes) -> bytes:
        """Feeds the parser one piece; returns what is to be fed once more."""
        self._head_ended = False
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade as offer:
            # An offer to speak another protocol, as the JDK's client makes with every request, may be ignored (RFC
            # 9110, 7.8). The parser takes it for a fact and drops the body: it gets the request again without it.
            if self.parser.get_method() == b"CONNECT":
                self._refuse(_CONNECT)
                return b""
            head = self._head_without_offer()
            self.parser = httptools.HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            return head + piece[offer.args[0] :]
        except httptools.HttpParserError:
            self._refuse(_MALFORMED)
        return b""

    def _head_without_offer(self) -> bytes:
        lines = [b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())]
        for name, value in self.headers:
            if name == b"connection":
                value = b",".join(option for option in value.split(b",") if option.strip().lower() != b"upgrade")
            if name not in (b"upgrade", b"http2-settings"):
                lines.append(b"%s: %s" % (name, value))
        return b"\r\n".join([*lines, b"", b""])

    def on_message_begin(self) -> None:
        """Takes note of the first byte of a request."""
        super().on_message_begin()
        self._in_head = True
        self._stop_lingering()

    def on_headers_complete(self) -> None:
        """Takes note of the last byte of a head."""
        self._in_head, self._in_body, self._head_ended = False, True, True
        self._body_bytes = self._sent_bytes = 0
        self._came()
        if self.parser.should_upgrade() or self._refusal is not None:
            return
        if len(self.headers) > HEAD_FIELDS:
            self._refuse(_TOO_LARGE)
            return
        super().on_headers_complete()
        if self.shared.draining:
            self.end_with_last_answer()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Takes in a field of a head. Those behind a body, its trailers, are no part of the head and not kept."""
        if not self._in_body:
            super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        """Takes in a part of a body."""
        self._body_bytes += len(body)
        if self._refusal is None:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Takes note of the last byte of a body."""
        self._in_body = False
        if self.parser.should_upgrade() or self._refusal is not None:
            return
        super().on_message_complete()
        self.scope["state"][WHOLE] = True

    def on_response_complete(self) -> None:
        """Goes on with the next request, or ends with the refusal of one."""
        super().on_response_complete()
        if self._refusal is not None and self._answered():
            self._say_refusal()

    def end_with_last_answer(self) -> None:
        """Makes the last answer that is owed here say that it is the last."""
        if self._last is not None and not self._last.response_started:
            # Another request came behind the one that was to be the last.
            self._last.keep_alive = True
        if self.cycle is not None and not self.cycle.response_started:
            self._last = self.cycle
            self._last.keep_alive = False

    def shutdown(self) -> None:
        """Ends the connection once it has answered what came, or when nothing has come for LINGER_SECONDS."""
        if self._answered() and not self._in_head:
            self._lingering = self.loop.call_later(LINGER_SECONDS, self._end_idle)
        else:
            self.end_with_last_answer()

    def _end_idle(self) -> None:
        if self._answered() and not self.transport.is_closing():
            self.transport.close()

    def _answered(self) -> bool:
        return not self.pipeline and (self.cycle is None or self.cycle.response_complete)

    def _refuse(self, answer: bytes) -> None:
        """Refuses whatever comes from here on, once everything before it is answered."""
        self._refusal = answer
        self._came()
        if self._answered():
            self._say_refusal()

    def _say_refusal(self) -> None:
        if self._refusal is not None and not self.transport.is_closing():
            self.transport.write(self._refusal)
            # Closed while its client still sends, a connection is reset, and the client never reads why.
            self.transport.write_eof()
            self._late = self.loop.call_later(REFUSED_SECONDS, self.transport.close)

    def _wait(self) -> None:
        if not self.transport.is_closing():
            self._late = self.loop.call_later(self.shared.head_seconds, self.transport.close)

    def _came(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _stop_lingering(self) -> None:
        if self._lingering is not None:
            self._lingering.cancel()
            self._lingering = None


def connection_class(connections: Connections) -> type[Connection]:
    """Returns the class of connections that share these bounds, for uvicorn to make."""
    return type("Connection", (Connection,), {"shared": connections})
