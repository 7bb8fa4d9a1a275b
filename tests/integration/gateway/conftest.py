"""A gateway over a mesh in miniature, over HTTP and gRPC."""

from collections.abc import AsyncIterator

import grpc
import httpx
import pytest
from hutong.gateway.v1.health_code_service_pb2_grpc import HealthCodeServiceStub

from cli.mesh.ports import free_port
from gateway.settings import GatewaySettings
from tests.testkit.fakes.mesh import PERSON, Mesh, record, serving
from tests.testkit.secret import SECRET
from tests.testkit.servers.gateway_clients import PEOPLE, GatewayClients


@pytest.fixture
def mesh() -> Mesh:
    """A mesh that knows one test of one person, kept in Hunan."""
    mesh = Mesh()
    mesh.records[PERSON].append(record())
    return mesh


@pytest.fixture
async def clients(mesh: Mesh) -> AsyncIterator[GatewayClients]:
    """A gateway on three ports of its own."""
    operations = f"127.0.0.1:{free_port()}"
    settings = GatewaySettings(mesh_secret=SECRET, http_listen="127.0.0.1:0", operations_listen=operations)
    async with (
        serving(mesh, settings, sample_people=PEOPLE) as (http_port, grpc_port),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{http_port}") as http,
        httpx.AsyncClient(base_url=f"http://{operations}") as operators,
        grpc.aio.insecure_channel(f"127.0.0.1:{grpc_port}") as channel,
    ):
        document = (await http.get("/openapi.json")).json()
        yield GatewayClients(mesh, http, operators, HealthCodeServiceStub(channel), document)
