"""A way to one target: a gRPC channel, and another one when that reaches nobody or this process has a new certificate.

gRPC's resolver asks again of its own accord only after ever longer pauses, up to two minutes, when a name has had no
address for a while, as a headless Service of Kubernetes has none while its pods are away. A new channel asks at once.
"""

import asyncio
import json
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Protocol, Self

import grpc

REOPEN_SECONDS = 1.0
"""A channel that reaches nobody is replaced no sooner than so long after it was opened."""
LINGER_SECONDS = 300.0
"""How long calls under way on a channel that was replaced may take to end: longer than any but a stream takes."""

# Timeouts stay out of it: in Python, a `timeout` in the service config fails short calls at once.
_SERVICE_CONFIG = {
    "loadBalancingConfig": [{"round_robin": {}}],
    "healthCheckConfig": {"serviceName": ""},
}

MOST_RESPONSE_BYTES = 64 * 1024 * 1024

_OPTIONS: list[tuple[str, int | str]] = [
    ("grpc.service_config", json.dumps(_SERVICE_CONFIG)),
    # gRPC's own retries end the process, once in thousands of streams whose server dies: grpc/grpc#40283.
    ("grpc.enable_retries", 0),
    # Shared between channels, a connection's health watch that one ends while another begins it is a null pointer.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.max_receive_message_length", MOST_RESPONSE_BYTES),
    ("grpc.max_send_message_length", MOST_RESPONSE_BYTES),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    # Other pings than those of keepalive wait a minute for their answer, and keepalive waits for them.
    ("grpc.http2.ping_timeout_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),
    # A region that comes back must be noticed within a second or so, not after the default two minutes of back-off.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    # A pod that is gone answers nothing at all: by default that is waited for 20 s.
    ("grpc.min_reconnect_backoff_ms", 2_000),
    # Replicas that ended were replaced by others at other addresses. By default a name is asked for at most every 30 s,
    # and an answer is waited for two minutes.
    ("grpc.dns_min_time_between_resolutions_ms", 1_000),
    ("grpc.dns_ares_query_timeout", 2_000),
]


class Opener(Protocol):
    """Opens channels to one peer."""

    def version(self) -> object:
        """Returns what channels are opened with, such as a certificate: one opened with another is to be replaced."""

    def open(self, target: str, options: Sequence[tuple[str, int | str]]) -> grpc.aio.Channel:
        """Returns a channel to a gRPC name."""


class PlaintextChannels:
    """Opens channels without TLS: for a mesh on loopback."""

    def version(self) -> object:
        """Returns the same at any time."""
        return None

    def open(self, target: str, options: Sequence[tuple[str, int | str]]) -> grpc.aio.Channel:
        """Returns a channel to a gRPC name."""
        return grpc.aio.insecure_channel(target, options=options)


class Connection:
    """Reaches `host:port` or any gRPC name; `dns:///name:port` balances over all its addresses that are healthy."""

    def __init__(self, target: str, opener: Opener | None = None) -> None:
        self._target = target
        self._opener = opener or PlaintextChannels()
        self._left: set[asyncio.Task[None]] = set()
        self._version = self._opener.version()
        self._opened = time.monotonic()
        self._channel = self._opener.open(target, _OPTIONS)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def channel(self) -> grpc.aio.Channel:
        """The channel for the next call."""
        version = self._opener.version()
        if version is not self._version:
            self._version = version
            self._replace()
        return self._channel

    def missed(self) -> None:
        """Takes note of a call that the service did not answer: replaces a channel that reaches nobody."""
        if (
            time.monotonic() - self._opened >= REOPEN_SECONDS
            and self._channel.get_state() is grpc.ChannelConnectivity.TRANSIENT_FAILURE
        ):
            self._replace()

    async def ready(self) -> None:
        """Returns when somebody is reached."""
        await self._channel.channel_ready()

    async def close(self) -> None:
        """Closes the channel, and what is left of its former ones; calls under way end with CANCELLED."""
        for task in list(self._left):
            task.cancel()
        await self._channel.close()

    def _replace(self) -> None:
        # Calls that are under way on it may end; a stream's reader opens it again.
        task = asyncio.get_running_loop().create_task(self._channel.close(LINGER_SECONDS))
        self._left.add(task)
        task.add_done_callback(self._left.discard)
        self._opened = time.monotonic()
        self._channel = self._opener.open(self._target, _OPTIONS)
