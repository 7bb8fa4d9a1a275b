"""A verdict service that does not answer costs one timeout, not one for everybody who asks."""

import asyncio
import time
from typing import Any, cast

import pytest
from hutong.common.v1.subject_pb2 import Purpose

from gateway.codes.query import CodeQuery
from gateway.codes.verdict_client import VerdictClient
from services.common.errors import Code, ServiceError
from tests.testkit.fakes.mesh import DOWN, PERSON, Mesh
from tests.testkit.identities import gateway_mesh

SHOW = Purpose.PURPOSE_SHOW_CODE
QUERY = CodeQuery(PERSON, "110000")


async def ask(client: VerdictClient) -> Code | None:
    """Asks once; returns the code it failed with."""
    try:
        await client.compute([QUERY], SHOW)
    except ServiceError as error:
        return error.code
    return None


@pytest.mark.parametrize("how", ["frozen", "away"])
async def test_what_is_down_is_asked_in_the_background(how: str) -> None:
    """Who asks next is told at once; once it answers, it is asked again."""
    mesh = Mesh()
    client = VerdictClient(cast(Any, mesh), gateway_mesh(), seconds=0.3)
    try:
        assert await ask(client) is None
        if how == "frozen":
            mesh.gate = asyncio.Event()
        mesh.failing = DOWN
        assert await ask(client) is (Code.DEADLINE_EXCEEDED if how == "frozen" else Code.UNAVAILABLE)
        asked, began = mesh.calls["verdict"], time.monotonic()
        assert [await ask(client) for _ in range(50)] == [Code.UNAVAILABLE] * 50
        assert (mesh.calls["verdict"], time.monotonic() - began < 10) == (asked, True)
        mesh.failing, mesh.gate = None, None
        async with asyncio.timeout(30):
            while await ask(client) is not None:
                await asyncio.sleep(0.05)
    finally:
        await client.close()
