"""A verdict service that does not answer costs one timeout, not one for everybody who asks."""

import asyncio
import time
from typing import Any, cast

import pytest
from hutong.common.v1.subject_pb2 import Purpose

from gateway.codes.query import CodeQuery
from gateway.codes.verdict_client import AT_ONCE, LIVE_IN_TURN, PAST_IN_TURN, VerdictClient
from services.common.errors import Code, ServiceError
from services.common.instants import SECOND, Instant
from services.runtime.clock import system_clock
from services.runtime.rpc.call import Call, enter
from services.runtime.telemetry.trace import new_trace
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


def past(number: int) -> CodeQuery:
    """A question about an instant of its own."""
    return CodeQuery(PERSON, "110000", known_at=Instant(system_clock() - (100 + number) * SECOND))


def asks(client: VerdictClient, caller: str, queries: list[CodeQuery]) -> asyncio.Task[Any]:
    """A caller that asks."""

    async def compute() -> Any:
        enter(Call(caller, time.monotonic() + 60, new_trace(None)))
        return await client.compute(queries, SHOW)

    return asyncio.create_task(compute())


@pytest.mark.parametrize("way", ["batches", "singles"])
async def test_a_code_waits_for_no_poison(way: str) -> None:
    """Three callers ask about a thousand instants each, several times at once; each code in between is computed in a
    call of its own, at once, and nothing about the past with it."""
    mesh = Mesh()
    client = VerdictClient(cast(Any, mesh), gateway_mesh(), seconds=60)
    thousand = [past(number) for number in range(1000)]
    tasks: list[asyncio.Task[Any]] = []
    try:
        for caller in "abc":
            for _ in range(3):
                for queries in [thousand] if way == "batches" else [[one] for one in thousand[:300]]:
                    tasks.append(asks(client, caller, queries))
        while mesh.calls["verdict"] < 3:
            await asyncio.sleep(0)
        for _ in range(10):
            before = mesh.calls["verdict"]
            await asks(client, "d", [QUERY])
            assert mesh.calls["verdict"] - before <= 4 * AT_ONCE
        live = [query for query in mesh.asked if not query.HasField("known_at")]
        assert 10 == len(live)
        assert PAST_IN_TURN == max(mesh.batches)
        assert 10 <= mesh.batches.count(1)
    finally:
        for task in tasks:
            task.cancel()
        await client.close()


async def test_callers_of_batches_take_turns() -> None:
    """Whoever has a small batch of the past is served after one slice of each other's."""
    mesh = Mesh()
    client = VerdictClient(cast(Any, mesh), gateway_mesh(), seconds=60)
    try:
        much = [asks(client, caller, [past(number) for number in range(1000)]) for caller in "aaaaabbbbb"]
        while mesh.calls["verdict"] < 2 * AT_ONCE:
            await asyncio.sleep(0)
        before = mesh.calls["verdict"]
        await asks(client, "c", [past(1), past(2)])
        assert mesh.calls["verdict"] - before <= 4 * AT_ONCE
        assert [] == [task for task in much if task.done()]
    finally:
        for task in much:
            task.cancel()
        await client.close()


async def test_a_large_batch_of_now_goes_in_slices() -> None:
    """In order, and a small one whole."""
    mesh = Mesh()
    client = VerdictClient(cast(Any, mesh), gateway_mesh(), seconds=60)
    people = [CodeQuery(number.to_bytes(16), "110000") for number in range(2 * LIVE_IN_TURN + 1)]
    judged = await client.compute(people, SHOW)
    assert [LIVE_IN_TURN, LIVE_IN_TURN, 1] == mesh.batches
    told = [one.outcome.verdict.person_keys for one in judged if not isinstance(one.outcome, ServiceError)]
    assert [[query.person] for query in people] == [list(keys) for keys in told]
    await client.compute(people[:LIVE_IN_TURN], SHOW)
    assert LIVE_IN_TURN == mesh.batches[-1]
    await client.close()
