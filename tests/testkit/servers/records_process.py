"""A records service as a process of its own, to be killed and started again."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, Process
from typing import Any

from hutong.records.v1 import (
    change_feed_service_pb2,
    intake_service_pb2,
    laboratory_quality_service_pb2,
    record_read_service_pb2,
    record_write_service_pb2,
)

from cli.mesh.ports import free_port
from services.runtime.rpc.connection import Connection
from tests.testkit.calls import remote
from tests.testkit.secret import SECRET
from tests.testkit.tools import ROOT

CONTRACTS = [
    record_read_service_pb2.DESCRIPTOR.services_by_name["RecordReadService"],
    record_write_service_pb2.DESCRIPTOR.services_by_name["RecordWriteService"],
    intake_service_pb2.DESCRIPTOR.services_by_name["RecordIntakeService"],
    change_feed_service_pb2.DESCRIPTOR.services_by_name["ChangeFeedService"],
    laboratory_quality_service_pb2.DESCRIPTOR.services_by_name["LaboratoryQualityService"],
]


class RecordsProcess:
    """`python -m services.records` on a port of its own, over one store, however often it is started."""

    def __init__(self, region: str, store_url: str, directory: str = "", **environ: str) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        self._environ = {
            **os.environ,
            "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'protos'}",
            "HUTONG_REGION": region,
            "HUTONG_STORE_URL": store_url,
            "HUTONG_STORE_MIGRATE": "true",
            "HUTONG_LISTEN": self.address,
            "HUTONG_MESH_SECRET": SECRET,
            "HUTONG_DIRECTORY": directory,
            **environ,
        }
        self._process: Process | None = None
        self._channel: Connection | None = None
        self.calls: Any = None

    async def start(self) -> None:
        """Starts it and returns when it serves."""
        await self._spawn()
        self._channel = Connection(self.address)
        await asyncio.wait_for(self._channel.ready(), 30)
        self.calls = remote("records", "tests", self._channel, CONTRACTS)

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    async def _spawn(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services.records", env=self._environ, cwd=ROOT, stderr=DEVNULL
        )

    async def replace(self) -> None:
        """Kills it and starts another in its place; whoever calls it keeps the channel."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        await self._process.wait()
        await self._spawn()

    def move_to(self, store_url: str) -> None:
        """From its next start on, it serves another store."""
        self._environ["HUTONG_STORE_URL"] = store_url

    async def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Ends it and returns its exit status."""
        assert self._process is not None
        if self._channel is not None:
            await self._channel.close()
        if self._process.returncode is None:
            self._process.send_signal(how)
        return await asyncio.wait_for(self._process.wait(), 20)
