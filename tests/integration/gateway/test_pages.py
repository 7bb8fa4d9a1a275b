"""The gateway's pages, and the description of its API."""

import re

import httpx
import jsonschema
import pytest

from tests.testkit.fakes.mesh import DOCUMENT, Mesh, serving
from tests.testkit.servers.gateway_clients import SHOW, GatewayClients


async def test_sample_people_are_shown_where_there_are_any(clients: GatewayClients, mesh: Mesh) -> None:
    """Their documents are shown only where people are invented; elsewhere there is no such path."""
    (person,) = (await clients.get("/v1/samplePeople")).json()["people"]
    assert (person["document"], person["name"]["zh"]) == (DOCUMENT, "张三")
    async with (
        serving(mesh) as (port, _),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as bare,
    ):
        assert (await bare.get("/v1/samplePeople")).status_code == 404
        assert "/v1/samplePeople" not in (await bare.get("/openapi.json")).json()["paths"]


@pytest.mark.parametrize("path", ["/", "/check", "/docs"])
async def test_pages_need_nothing_from_elsewhere(clients: GatewayClients, path: str) -> None:
    """A page is Chinese first, complete in itself, and its policy lets nothing else in."""
    reply = await clients.http.get(path)
    assert (reply.status_code, reply.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert '<html lang="zh-CN">' in reply.text
    assert "default-src 'none'" in reply.headers["content-security-policy"]
    # Examples have addresses in them, which nothing asks.
    text = re.sub(r"<pre>.*?</pre>", "", reply.text, flags=re.DOTALL)
    for mark in ('src="', "url(", "@import", 'rel="stylesheet"', "https://"):
        assert mark not in text


async def test_document_is_openapi_and_its_examples_are_true(clients: GatewayClients) -> None:
    """Every path that is served is described, every schema is one, and every example is of its schema."""
    document = clients.document
    served = {"/v1/samplePeople", "/v1/regions", SHOW}
    assert served <= set(document["paths"])
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
    checked = 0
    for methods in document["paths"].values():
        for operation in methods.values():
            bodies = [operation.get("requestBody", {}), *operation["responses"].values()]
            for content in (one for body in bodies for one in body.get("content", {}).values()):
                if "example" in content:
                    schema = {**content["schema"], "components": document["components"]}
                    jsonschema.Draft202012Validator(schema).validate(content["example"])
                    checked += 1
    assert checked > 15


async def test_head_is_get_without_a_body(clients: GatewayClients) -> None:
    """What can be got can be asked for by its headers alone."""
    reply = await clients.http.head("/v1/regions")
    assert (reply.status_code, reply.content) == (200, b"")
