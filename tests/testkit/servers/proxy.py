"""A TCP proxy whose wire can be cut, stopped without a word, or made slow."""

import asyncio
import contextlib
from types import TracebackType
from typing import Self


class Proxy:
    """Carries connections to `target`, host:port. `delay` is in seconds, each way, `bytes_carried` counts both
    ways."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._server: asyncio.Server | None = None
        self._open = asyncio.Event()
        self._open.set()
        self._refusing = False
        self._ends: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.delay = 0.0
        self.bytes_carried = 0
        self.address = ""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()
        self.address = f"{host}:{port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def lead_to(self, target: str) -> None:
        """Carries new connections to another host:port; those that there are stay where they are."""
        self._target = target

    def cut(self) -> None:
        """Ends every connection, and each new one at once."""
        self._refusing = True
        for end in list(self._ends):
            end.transport.abort()

    def swallow(self) -> None:
        """Connections stay and new ones are taken, but nothing comes through any more: a wire that is down."""
        self._open.clear()

    def mend(self) -> None:
        """Carries again; what was swallowed comes through now."""
        self._refusing = False
        self._open.set()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if self._refusing:
            writer.transport.abort()
            return
        await self._open.wait()
        host, _, port = self._target.rpartition(":")
        try:
            there, back = await asyncio.open_connection(host, int(port))
        except OSError:
            writer.transport.abort()
            return
        self._ends |= {writer, back}
        try:
            await asyncio.gather(self._pump(reader, back), self._pump(there, writer))
        finally:
            self._ends -= {writer, back}
            writer.transport.abort()
            back.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                if self.delay:
                    await asyncio.sleep(self.delay)
                await self._open.wait()
                self.bytes_carried += len(data)
                writer.write(data)
                await writer.drain()
        writer.transport.abort()
