"""A way to one target: a gRPC channel, and another one when that reaches nobody.

gRPC's resolver asks again of its own accord only after ever longer pauses, up to two minutes, when a name has had no
address for a while, as a headless Service of Kubernetes has none while its pods are away. A new channel asks at once.
"""

import asyncio
import json
import time
from types import TracebackType
from typing import Self

import grpc

REOPEN_SECONDS = 1.0
"""A channel that reaches nobody is replaced no sooner than so long after it was opened."""
LINGER_SECONDS = 30.0
"""How long calls under way on a channel that was replaced may take to end."""

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


class Connection:
    """Reaches `host:port` or any gRPC name; `dns:///name:port` balances over all its addresses that are healthy."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._channel = self._open()
        self._left: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def channel(self) -> grpc.aio.Channel:
        """The channel for the next call."""
        return self._channel

    def missed(self) -> None:
        """Takes note of a call that the service did not answer: replaces a channel that reaches nobody."""
        if time.monotonic() - self._opened < REOPEN_SECONDS:
            return
        if self._channel.get_state() is not grpc.ChannelConnectivity.TRANSIENT_FAILURE:
            return
        # A connection that has been told to go may still carry calls.
        task = asyncio.create_task(self._channel.close(LINGER_SECONDS))
        self._left.add(task)
        task.add_done_callback(self._left.discard)
        self._channel = self._open()

    async def ready(self) -> None:
        """Returns when somebody is reached."""
        await self._channel.channel_ready()

    async def close(self) -> None:
        """Closes the channel; calls under way end with CANCELLED."""
        for task in list(self._left):
            task.cancel()
        await self._channel.close()

    def _open(self) -> grpc.aio.Channel:
        self._opened = time.monotonic()
        return grpc.aio.insecure_channel(self._target, options=_OPTIONS)
