"""Answers over gRPC are the same bytes to every client, whatever encodings it takes (docs/decisions/0060)."""

import grpc
import pytest
from google.protobuf.message import Message
from hutong.gateway.v1 import health_code_service_pb2 as pb
from hutong.gateway.v1.health_code_service_pb2_grpc import HealthCodeServiceStub

from tests.testkit.fakes.mesh import Mesh, serving
from tests.testkit.servers.gateway_clients import document_message
from tests.testkit.servers.proxy import Proxy

IDENTITY_ALONE = [("grpc.compression_enabled_algorithms_bitset", 1)]
QUERY = pb.HealthCodeQuery(document=document_message(), region="110000")
MANY = pb.BatchShowHealthCodesRequest(queries=[QUERY] * 100)
EVERYWHERE = pb.CheckDestinationsRequest(document=document_message())


@pytest.mark.parametrize("options", [[], IDENTITY_ALONE], ids=["takes gzip", "takes identity alone"])
@pytest.mark.parametrize(
    ("method", "asked"),
    [("BatchShowHealthCodes", MANY), ("CheckDestinations", EVERYWHERE)],
    ids=["batch", "destinations"],
)
async def test_a_large_answer_over_grpc_is_plain(
    mesh: Mesh, method: str, asked: Message, options: list[tuple[str, int]]
) -> None:
    """A server of grpc compresses whatever a client takes, and one that takes no gzip would get INTERNAL."""
    options = [*options, ("grpc.use_local_subchannel_pool", 1)]
    async with (
        serving(mesh) as (_, port),
        Proxy(f"127.0.0.1:{port}") as proxy,
        grpc.aio.insecure_channel(proxy.address, options=options) as channel,
    ):
        call = getattr(HealthCodeServiceStub(channel), method)
        answer = await call(asked, timeout=30, wait_for_ready=True, metadata=[("hutong-caller", "test")])
        assert answer.ByteSize() > 1024
        assert proxy.bytes_carried > asked.ByteSize() + answer.ByteSize()
