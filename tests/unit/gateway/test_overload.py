"""Beyond a stated number of requests under way the next are refused at once, the heaviest first."""

import asyncio
import json

import httpx
import pytest

from gateway.settings import GatewaySettings
from services.common.errors import ServiceError
from services.runtime.resilience.overload import Overload, Weight
from tests.testkit.fakes.mesh import DOCUMENT, Mesh, serving
from tests.testkit.secret import SECRET


def admitted(overload: Overload, weight: Weight, count: int) -> int:
    """Counts those of so many that are let in."""
    for number in range(count):
        try:
            overload.begin(weight)
        except ServiceError:
            return number
    return count


def test_heavy_requests_are_refused_first():
    """A quarter of what may be under way; what they leave is for codes."""
    overload = Overload(8)
    assert 2 == admitted(overload, Weight.HEAVY, 10)
    assert 6 == admitted(overload, Weight.LIGHT, 10)


def test_what_has_ended_makes_room():
    """For one of its kind, and of the other."""
    overload = Overload(8)
    admitted(overload, Weight.LIGHT, 10)
    assert 0 == admitted(overload, Weight.HEAVY, 1)
    overload.end(Weight.LIGHT)
    assert 1 == admitted(overload, Weight.LIGHT, 2)


def test_no_light_one_is_refused_while_a_heavy_one_is_let_in():
    """The last quarter is kept for light ones."""
    overload = Overload(8)
    assert 6 == admitted(overload, Weight.LIGHT, 6)
    assert 0 == admitted(overload, Weight.HEAVY, 1)
    assert 2 == admitted(overload, Weight.LIGHT, 10)
    for _ in range(3):
        overload.end(Weight.LIGHT)
    assert 1 == admitted(overload, Weight.HEAVY, 10)


async def test_a_gateway_with_too_much_to_do_says_so():
    """Codes that must be computed wait; the next are refused; and it recovers."""
    mesh = Mesh()
    mesh.gate = asyncio.Event()
    settings = GatewaySettings(mesh_secret=SECRET, http_listen="127.0.0.1:0", concurrency=4)
    async with (
        serving(mesh, settings) as (port, _),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http,
        asyncio.timeout(30),
    ):

        async def show(region: str) -> httpx.Response:
            return await http.post("/v1/healthCode:show", json={"document": DOCUMENT, "region": region})

        waiting = [asyncio.create_task(show(region)) for region in ("110000", "120000", "130000", "140000")]
        while mesh.calls["verdict"] == 0:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        refused = await show("150000")
        assert (503, "OVERLOADED") == (refused.status_code, refused.json()["reason"])
        assert "1" == refused.headers["retry-after"]
        mesh.gate.set()
        assert [200] * 4 == [one.status_code for one in await asyncio.gather(*waiting)]
        assert 200 == (await show("150000")).status_code


@pytest.mark.parametrize("path", ["/v1/healthCode:batchShow", "/v1/destinations:check"])
async def test_a_batch_is_refused_before_a_code(path: str):
    """While one is under way, and no more than one may be."""
    mesh = Mesh()
    mesh.gate = asyncio.Event()
    settings = GatewaySettings(mesh_secret=SECRET, http_listen="127.0.0.1:0", concurrency=4)
    body = (
        {"queries": [{"document": DOCUMENT, "region": "110000"}]}
        if "batch" in path
        else {"document": DOCUMENT, "regions": ["110000"]}
    )
    async with (
        serving(mesh, settings) as (port, _),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http,
        asyncio.timeout(30),
    ):
        waiting = asyncio.create_task(http.post(path, json=body))
        while mesh.calls["verdict"] == 0:
            await asyncio.sleep(0.01)
        assert 503 == (await http.post(path, json=body)).status_code
        code = asyncio.create_task(http.post("/v1/healthCode:show", json={"document": DOCUMENT, "region": "310000"}))
        while not code.done() and mesh.calls["verdict"] < 2:
            await asyncio.sleep(0.01)
        mesh.gate.set()
        assert [200, 200] == [(await one).status_code for one in (waiting, code)]
        assert json.loads((await http.post(path, json=body)).content)
