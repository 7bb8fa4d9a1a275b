"""Serves the operations port from a thread with a loop of its own: whatever the process's own loop has to do, and
however many connections wait there, operators and the probes of a cluster are answered."""

import asyncio
import contextlib
import socket
import threading

from services.runtime.operations.answers import Answer, Answers
from services.runtime.rpc.listening import CannotListenError, listening_socket

VARIABLE = "HUTONG_OPERATIONS_LISTEN"
HEAD_BYTES = 8 * 1024
CONNECTION_SECONDS = 5.0
"""How long a connection may last: one request, one answer."""
CONNECTIONS = 256
"""How many connections may be open at a time; the next are closed at once."""
STOP_SECONDS = 5.0


class OperationsListener:
    """Answers over HTTP/1.1 on `host:port` from when it is made (port 0 takes a free one), one request on each
    connection. `name` is the service's. Raises CannotListenError."""

    def __init__(self, answers: Answers, address: str, name: str) -> None:
        self._answers = answers
        self._open = 0
        self._loop = asyncio.new_event_loop()
        self._stopped = asyncio.Event()
        try:
            listener = listening_socket(address, name, VARIABLE)
        except CannotListenError:
            self._loop.close()
            raise
        self.port: int = listener.getsockname()[1]
        self._thread = threading.Thread(target=self._run, args=(listener,), name="operations", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Closes the port. Safe to call twice."""
        # A loop that is closed has stopped.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join(STOP_SECONDS)

    def _run(self, listener: socket.socket) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve(listener))

    async def _serve(self, listener: socket.socket) -> None:
        server = await asyncio.start_server(self._connected, sock=listener, limit=HEAD_BYTES)
        async with server:
            await self._stopped.wait()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._open >= CONNECTIONS:
            writer.close()
            return
        self._open += 1
        try:
            async with asyncio.timeout(CONNECTION_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(self._answer(head))
                await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            # Nobody is told: who asks here is a machine, and asks again.
            pass
        finally:
            self._open -= 1
            writer.close()

    def _answer(self, head: bytes) -> bytes:
        words = head.partition(b"\r\n")[0].decode("latin-1").split(" ")
        method, path = (words[0], words[1]) if len(words) == 3 else ("", "")
        answer = self._answers.of(method, path)
        return _head(answer) + (b"" if method == "HEAD" else answer.body)


def _head(answer: Answer) -> bytes:
    return (
        f"HTTP/1.1 {answer.status.value} {answer.status.phrase}\r\ncontent-type: {answer.content_type}\r\n"
        f"content-length: {len(answer.body)}\r\ncache-control: no-store\r\nconnection: close\r\n\r\n"
    ).encode()
