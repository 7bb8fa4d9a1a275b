"""A service that is frozen keeps its connections open and answers nothing: whoever reads a stream of it must notice."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
from hutong.records.v1.intake_service_pb2 import StreamRecordsRequest

from services.common.errors import ServiceError
from tests.testkit.builders.records import KEEP
from tests.testkit.servers.records_process import RecordsProcess
from tests.testkit.servers.store_urls import sqlite_url

NOTICED_SECONDS = 45.0
"""What keepalive allows, with time for a busy machine."""


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_a_stream_from_a_frozen_service_ends(tmp_path: Path) -> None:
    """A laboratory that waits for an acknowledgement is told within half a minute that none will come, as it would be
    by a machine that lost its power."""
    service = RecordsProcess("430000", sqlite_url(tmp_path))
    await service.start()

    async def requests() -> AsyncIterator[StreamRecordsRequest]:
        yield StreamRecordsRequest(session_id=str(uuid4()), purpose=KEEP)
        await asyncio.Event().wait()

    try:
        responses = service.calls.StreamRecords(requests())
        await anext(responses)
        os.kill(service.pid, signal.SIGSTOP)
        async with asyncio.timeout(NOTICED_SECONDS):
            with pytest.raises(ServiceError) as raised:
                await anext(responses)
    finally:
        os.kill(service.pid, signal.SIGCONT)
    assert "SERVICE_UNREACHABLE" == raised.value.reason
    assert 0 == await service.end()
