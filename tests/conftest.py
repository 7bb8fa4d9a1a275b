"""Fixtures that every test may ask for."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

from services.runtime.telemetry.trace import tracing
from tests.testkit.faults.recording import measured, pytest_runtest_logreport
from tests.testkit.needs import CI
from tests.testkit.servers.citus import citus_url, coordinator_url
from tests.testkit.servers.otlp import Collector, collecting
from tests.testkit.servers.postgres import postgres_server, postgres_url
from tests.testkit.servers.redis import redis_server, start_redis
from tests.testkit.servers.store_urls import any_store_url, nation_url, store_url

# Here and nowhere else: a fixture of the session that is imported into a module is another one for each module, and a
# server for each.
__all__ = [
    "any_store_url",
    "citus_url",
    "coordinator_url",
    "measured",
    "nation_url",
    "postgres_server",
    "postgres_url",
    "pytest_runtest_logreport",
    "redis_server",
    "start_redis",
    "store_url",
]

# A shared machine is slow at times, which says nothing about the code; in CI the same examples come every time.
settings.register_profile("laptop", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if CI else "laptop")

# Chatty at DEBUG, and no part of what tests look at.
logging.getLogger("asyncio").setLevel(logging.INFO)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the repository."""
    return Path(__file__).resolve().parent.parent


@pytest.fixture
def otlp() -> Iterator[Collector]:
    """An OTLP collector; spans reach it from processes whose HUTONG_OTLP_ENDPOINT is its `endpoint`."""
    with collecting() as collector:
        yield collector


@pytest.fixture
def traced(otlp: Collector) -> Iterator[Collector]:
    """A collector that gets every span of this process; call `tracing.flush()` before looking."""
    tracing.configure(OTLPSpanExporter(endpoint=otlp.endpoint, insecure=True), 1.0)
    try:
        yield otlp
    finally:
        tracing.flush()
        tracing.configure(None, 0.0)
