"""A records service as a process of its own, for a while."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from bench.servers.program import ended
from cli.mesh.child import inherited_environment
from cli.mesh.ports import free_port


class Serving(NamedTuple):
    """A running service: where it serves, host:port, and its process."""

    address: str
    pid: int


@asynccontextmanager
async def serving(store_url: str, region: str) -> AsyncIterator[Serving]:
    """Runs `python -m services.records` over a store whose tables are there. Whether it came up is for the caller to
    see."""
    address = f"127.0.0.1:{free_port()}"
    environ = inherited_environment() | {
        "HUTONG_REGION": region,
        "HUTONG_STORE_URL": store_url,
        "HUTONG_LISTEN": address,
        "HUTONG_MESH_SECRET": "a secret for benchmarks alone",
        "HUTONG_LOG_LEVEL": "WARNING",
    }
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "services.records", env=environ)
    try:
        yield Serving(address, process.pid)
    finally:
        await ended(process)
