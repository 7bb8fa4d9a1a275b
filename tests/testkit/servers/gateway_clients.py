"""A gateway over HTTP and over gRPC, asked side by side."""

from dataclasses import dataclass
from typing import Any

import grpc
import httpx
import jsonschema
import pytest
from hutong.common.v1.subject_pb2 import Document

from gateway.application.samples import SampleDocument, SamplePerson
from services.common.errors import Text
from services.runtime.rpc.errors import from_rpc_error
from tests.testkit.fakes.mesh import DOCUMENT, NUMBER, Mesh

SHOW = "/v1/healthCode:show"


BODY: dict[str, Any] = {"document": DOCUMENT, "region": "110000"}


PEOPLE = [
    SamplePerson(
        Text("张三", "Zhang San"), SampleDocument("RESIDENT_ID", NUMBER), "110000", Text("湖南结果", "A Hunan result")
    )
]


@dataclass
class GatewayClients:
    """Both, over one mesh, and its operations port. Every answer over HTTP is held against the document."""

    mesh: Mesh
    http: httpx.AsyncClient
    operators: httpx.AsyncClient
    stub: Any  # typed for the synchronous channel
    document: dict[str, Any]

    async def post(self, path: str, body: Any, **headers: str) -> httpx.Response:
        """Sends JSON."""
        return self.conforming(await self.http.post(path, json=body, headers=headers))

    async def get(self, path: str) -> httpx.Response:
        """Asks."""
        return self.conforming(await self.http.get(path))

    def conforming(self, reply: httpx.Response) -> httpx.Response:
        """The reply, after it was held against what the document promises for its path, method and status."""
        promised = self.document["paths"][reply.url.path][reply.request.method.lower()]["responses"]
        content = promised[str(reply.status_code)]["content"]
        kind = reply.headers["content-type"]
        schema = {**content[kind]["schema"], "components": self.document["components"]}
        jsonschema.Draft202012Validator(schema).validate(reply.json())
        return reply

    async def grpc_reason(self, method: str, request: Any) -> tuple[str, list[tuple[str, str]]]:
        """The reason a call fails with, and its violations."""
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await getattr(self.stub, method)(request, timeout=5, metadata=[("hutong-caller", "test")])
        error = from_rpc_error(raised.value, "gateway")
        return error.reason, [(v.field.removeprefix("query."), v.reason) for v in error.violations]


def reasons(reply: httpx.Response) -> tuple[str, list[tuple[str, str]]]:
    """The reason of a problem, and its violations."""
    problem = reply.json()
    return problem["reason"], [(v["field"], v["reason"]) for v in problem["violations"]]


def document_message(kind: int = 1, number: str = NUMBER) -> Document:
    """Returns a document as the contract has it."""
    return Document(type=kind, number=number)  # type: ignore[arg-type]
