"""A channel whose certificate is renewed: calls that begin after a renewal go out under the new one."""

import asyncio
from collections.abc import Callable
from typing import Any

import grpc

from services.runtime.tls.credentials import channel_credentials
from services.runtime.tls.files import Material, TlsFiles
from services.runtime.tls.identity import Principal

GRACE_SECONDS = 300.0
"""How long calls that began under the former certificate may go on: longer than any but a stream, whose reader opens it
again."""


class RenewedChannel:
    """Calls one peer, over a channel that is replaced when this process's certificate or trust is. `target` is a gRPC
    name, `options` are the channel's."""

    def __init__(self, target: str, files: TlsFiles, peer: Principal, options: list[tuple[str, int | str]]) -> None:
        self._target = target
        self._files = files
        self._peer = peer
        self._options = options
        self._material: Material | None = None
        self._channel = self._current()
        self._closing: set[asyncio.Task[None]] = set()

    def _current(self) -> grpc.aio.Channel:
        material = self._files.current()
        if material is not self._material:
            former = None if self._material is None else self._channel
            self._material = material
            credentials, override = channel_credentials(material, self._peer)
            self._channel = grpc.aio.secure_channel(self._target, credentials, options=[*self._options, override])
            if former is not None:
                task = asyncio.get_running_loop().create_task(former.close(GRACE_SECONDS))
                self._closing.add(task)
                task.add_done_callback(self._closing.discard)
        return self._channel

    def unary_unary(self, path: str, request_serializer: Any, response_deserializer: Any) -> Any:
        """See grpc.aio.Channel."""
        return self._renewed(lambda channel: channel.unary_unary(path, request_serializer, response_deserializer))

    def unary_stream(self, path: str, request_serializer: Any, response_deserializer: Any) -> Any:
        """See grpc.aio.Channel."""
        return self._renewed(lambda channel: channel.unary_stream(path, request_serializer, response_deserializer))

    def stream_stream(self, path: str, request_serializer: Any, response_deserializer: Any) -> Any:
        """See grpc.aio.Channel."""
        return self._renewed(lambda channel: channel.stream_stream(path, request_serializer, response_deserializer))

    def _renewed(self, make: Callable[[grpc.aio.Channel], Any]) -> Callable[..., Any]:
        channel = self._current()
        made = make(channel)

        def call(*arguments: Any, **named: Any) -> Any:
            nonlocal channel, made
            if channel is not (current := self._current()):
                channel, made = current, make(current)
            return made(*arguments, **named)

        return call

    async def close(self) -> None:
        """Closes it, and what is left of its former ones, at once."""
        await self._channel.close()
        for task in list(self._closing):
            task.cancel()
