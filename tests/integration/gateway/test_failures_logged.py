"""Every failed request is in the log once, with the trace id that its caller was told, over both transports."""

import logging

import pytest
from hutong.gateway.v1 import health_code_service_pb2 as pb

from services.runtime.telemetry.repetition import EACH
from tests.testkit.fakes.mesh import DOWN, NUMBER
from tests.testkit.servers.gateway_clients import BODY, SHOW, GatewayClients, document_message


async def test_each_failure_has_one_line(clients: GatewayClients, caplog: pytest.LogCaptureFixture) -> None:
    """Whether the caller or the mesh is at fault; what succeeds has none, and no line names a person."""
    with caplog.at_level(logging.INFO, logger=EACH):
        assert 200 == (await clients.post(SHOW, {**BODY, "region": "310000"})).status_code
        clients.mesh.failing = DOWN
        unknown = await clients.post(SHOW, {**BODY, "region": "999999"})
        down = await clients.post(SHOW, BODY)
        await clients.grpc_reason(
            "ShowHealthCode",
            pb.ShowHealthCodeRequest(query=pb.HealthCodeQuery(document=document_message(), region="9")),
        )
    lines = [
        (record.__dict__["reason"], record.__dict__["trace_id"]) for record in caplog.records if record.name == EACH
    ]
    told = [("INVALID_ARGUMENT", unknown.json()["traceId"]), ("SERVICE_UNREACHABLE", down.json()["traceId"])]
    assert told == lines[:2]
    assert ["INVALID_ARGUMENT"] == [reason for reason, _ in lines[2:]]
    assert NUMBER not in caplog.text
    levels = [record.levelname for record in caplog.records if record.name == EACH]
    assert ["INFO", "WARNING", "INFO"] == levels
