"""A records service in a process of its own, over a database whose tables are there."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from cli.bench.servers.postgres import free_port

_ROOT = Path(__file__).resolve().parents[3]


@asynccontextmanager
async def serving(url: str, region: str) -> AsyncIterator[str]:
    """The address, on loopback, of a region's service, which may not answer yet."""
    address = f"127.0.0.1:{free_port()}"
    environ = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join((str(_ROOT), str(_ROOT / "protos"))),
        "HUTONG_REGION": region,
        "HUTONG_STORE_URL": url,
        "HUTONG_LISTEN": address,
        "HUTONG_MESH_SECRET": "a secret for benchmarks alone",
        "HUTONG_LOG_LEVEL": "WARNING",
    }
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "services.records", env=environ)
    try:
        yield address
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), 20)
