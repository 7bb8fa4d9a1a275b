"""Connections of the HTTP door: none stays open that asks for nothing."""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

WHOLE = "whole"
"""Set in a scope's state when the whole request came at once, as nearly all do: nobody need wait for its body."""


class Connection(HttpToolsProtocol):
    """A connection that is closed when the head of a request, its first one or any other, takes longer than
    `head_seconds`. A request that comes in one piece, after the first, costs no timer. uvicorn itself closes what is
    idle between two requests, and the application ends bodies that do not come."""

    head_seconds: float
    idle_seconds: float

    _late: asyncio.TimerHandle | None = None
    _in_head = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Begins to wait for the first request."""
        super().connection_made(transport)
        self.timeout_keep_alive = self.idle_seconds  # type: ignore[assignment]  # seconds of call_later
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends the wait."""
        super().connection_lost(exc)
        self._came()

    def data_received(self, data: bytes) -> None:
        """Bytes that are no request, or not a whole head yet, are waited for like none at all."""
        super().data_received(data)
        if self._late is None and (self._in_head or self.cycle is None or self.cycle.response_complete):
            self._wait()

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        super().on_message_begin()
        self._in_head = True

    def on_headers_complete(self) -> None:
        """The last byte of its head."""
        self._in_head = False
        self._came()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The last byte of its body."""
        super().on_message_complete()
        self.scope["state"][WHOLE] = True

    def _wait(self) -> None:
        if not self.transport.is_closing():
            self._late = self.loop.call_later(self.head_seconds, self.transport.close)

    def _came(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None


def bounded(head_seconds: float, idle_seconds: float) -> type[Connection]:
    """The class of connections with these bounds, for uvicorn to make."""
    return type("Connection", (Connection,), {"head_seconds": head_seconds, "idle_seconds": idle_seconds})
