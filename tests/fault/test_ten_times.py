"""Ten times what a gateway can do is asked of it: codes go on, what can wait is refused first, and each refusal says
when to come again; when it is over, everything is answered again."""

import asyncio
import json
import time
from collections import Counter
from itertools import count
from typing import Any

import grpc
import httpx
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from hutong.common.v1.subject_pb2 import Document, DocumentType, Purpose
from hutong.gateway.v1.health_code_service_pb2 import HealthCodeQuery, ShowHealthCodeRequest
from hutong.gateway.v1.health_code_service_pb2_grpc import HealthCodeServiceStub
from hutong.verdict.v1.verdict_service_pb2 import BatchComputeVerdictsRequest, BatchComputeVerdictsResponse

from gateway.settings import GatewaySettings
from services.runtime.rpc.errors import DETAILS_KEY
from tests.testkit.fakes.mesh import Mesh, serving
from tests.testkit.faults.recording import Measured
from tests.testkit.secret import SECRET

TIMES = 10
"""So many ask in the time in which one code is computed."""
TICK = 0.05
"""Seconds in which the mesh computes one code, and no more: everything is counted in these, for a machine that is busy
makes them longer."""
TICKS = 100
RECOVERY_SECONDS = 10.0
CONCURRENCY = 8
NUMBERS = count(10_000_000)

CODE, SUPERVISION, BATCH, GRPC = "code", "supervision", "batch", "code over gRPC"
MIX = (CODE, CODE, SUPERVISION, CODE, GRPC, BATCH, CODE, SUPERVISION, CODE, GRPC)
"""What is asked in turn, again and again."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


class SlowMesh(Mesh):
    """A mesh that computes one code at a time, each when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self._turn = asyncio.Semaphore(0)
        self._waiting = 0

    def compute(self) -> None:
        """Computes the next code, if any is asked for."""
        if self._waiting:
            self._waiting -= 1
            self._turn.release()

    async def BatchComputeVerdicts(self, request: BatchComputeVerdictsRequest) -> BatchComputeVerdictsResponse:
        """Takes its turn for each."""
        for _ in request.queries:
            self._waiting += 1
            await self._turn.acquire()
        return await super().BatchComputeVerdicts(request)

    async def compute_on(self) -> None:
        """Goes on for ever."""
        while True:
            self.compute()
            await asyncio.sleep(TICK)


def _document() -> Document:
    return Document(type=DocumentType.DOCUMENT_TYPE_PASSPORT, number=f"E{next(NUMBERS)}")


class Callers:
    """Everybody who asks, each once. `answered` and `refused` count by what was asked; `hintless` are refusals that do
    not say when to come again, `other` is whatever else came."""

    def __init__(self, http: httpx.AsyncClient, codes: Any) -> None:
        self._http = http
        self._codes = codes
        self.answered: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.hintless = 0
        self.other: list[str] = []

    async def ask(self, what: str) -> bool:
        """Asks once, for somebody nobody asked for before; tells whether it was answered."""
        try:
            answered, hint, said = await (self._over_grpc() if what == GRPC else self._over_http(what))
        except httpx.HTTPError as error:
            self.other.append(f"{what}: {error!r}")
            return False
        if answered:
            self.answered[what] += 1
        elif said == "OVERLOADED":
            self.refused[what] += 1
            self.hintless += not hint
        else:
            self.other.append(f"{what}: {said}")
        return answered

    async def _over_http(self, what: str) -> tuple[bool, bool, str]:
        document = {"type": "PASSPORT", "number": _document().number}
        query = {"document": document, "region": "110000"}
        headers = {"hutong-purpose": "SUPERVISION"} if what == SUPERVISION else {}
        path, body = ("batchShow", {"queries": [query]}) if what == BATCH else ("show", query)
        reply = await self._http.post(f"/v1/healthCode:{path}", content=json.dumps(body), headers=headers)
        said = "" if reply.status_code == 200 else str(reply.json().get("reason"))
        return reply.status_code == 200, "retry-after" in reply.headers, said

    async def _over_grpc(self) -> tuple[bool, bool, str]:
        query = HealthCodeQuery(document=_document(), region="110000")
        request = ShowHealthCodeRequest(query=query, purpose=Purpose.PURPOSE_SHOW_CODE)
        try:
            await self._codes.ShowHealthCode(request, timeout=60, metadata=[("hutong-caller", "test")])
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.RESOURCE_EXHAUSTED:
                return False, False, f"{error.code()} {error.details()}"
            details = dict(error.trailing_metadata() or ())[DETAILS_KEY]
            assert isinstance(details, bytes)
            hints = [one.Is(RetryInfo.DESCRIPTOR) for one in Status.FromString(details).details]
            return False, any(hints), "OVERLOADED"
        return True, True, ""


async def test_ten_times_the_load_sheds_what_can_wait_and_is_over_when_it_is_over(measured: Measured) -> None:
    """Nothing else than an answer or a refusal with a hint comes, over HTTP as over gRPC; supervision and batches give
    way to codes; within ten seconds of the end whoever asks one after the other is answered every time."""
    settings = GatewaySettings(
        mesh_secret=SECRET,
        http_listen="127.0.0.1:0",
        listen="127.0.0.1:0",
        concurrency=CONCURRENCY,
        compute_seconds=60.0,
        request_seconds=60.0,
    )
    mesh = SlowMesh()
    async with (
        serving(mesh, settings) as (port, grpc_port),
        httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}",
            headers={"content-type": "application/json"},
            limits=httpx.Limits(max_connections=None),
            timeout=60,
        ) as http,
        grpc.aio.insecure_channel(f"127.0.0.1:{grpc_port}") as channel,
    ):
        callers = Callers(http, HealthCodeServiceStub(channel))
        asking: list[asyncio.Task[bool]] = []
        kinds = count()
        for _ in range(TICKS):
            asking += [asyncio.create_task(callers.ask(MIX[next(kinds) % len(MIX)])) for _ in range(TIMES)]
            mesh.compute()
            await asyncio.sleep(TICK)
        loaded = Counter(callers.answered)
        computing = asyncio.create_task(mesh.compute_on())
        await asyncio.gather(*asking)
        ended = time.monotonic()
        # What is still under way may take a moment; from then on everybody is answered.
        for _ in range(round(RECOVERY_SECONDS / TICK)):
            if await callers.ask(CODE) and await callers.ask(SUPERVISION) and await callers.ask(BATCH):
                break
            await asyncio.sleep(TICK)
        else:
            pytest.fail("it is not over ten seconds after its end")
        measured.of().took(time.monotonic() - ended)
        afterwards = [await callers.ask(what) for what in (CODE, SUPERVISION, BATCH, GRPC) * 3]
        computing.cancel()
    for what, number in (*loaded.items(), *((f"{what} refused", n) for what, n in callers.refused.items())):
        measured.of().saw(what, number)
    measured.of().lose(callers.hintless + len(callers.other))
    assert all(afterwards)
    assert ([], 0) == (callers.other, callers.hintless)
    codes, waiting = loaded[CODE] + loaded[GRPC], loaded[SUPERVISION] + loaded[BATCH]
    refused = callers.refused[CODE] + callers.refused[GRPC]
    assert refused
    assert codes > CONCURRENCY
    # Seven of ten ask for codes: of those who can wait a much smaller share is served.
    served = codes / (codes + refused), waiting / (waiting + callers.refused[SUPERVISION] + callers.refused[BATCH])
    assert served[1] < served[0] / 2, (served, loaded, callers.refused)
