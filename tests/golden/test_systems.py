"""The systems of the founding text, by name, on data that went in as people send it.

Each case is played over HTTP and over gRPC, in one process and as a process per service, over mutual TLS; as its proper
principals: holders with tokens, regions' systems with certificates.
"""

import shutil
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml

from cli.mesh import embedded, processes
from cli.mesh.plan import system_of
from services.verdict.policy.files import DEFAULT_DIRECTORY
from tests.testkit.golden.clients import GrpcClient, HttpClient, Wallet
from tests.testkit.golden.scenario import RunningMesh, Scenario, channel_as

SYSTEMS = Path(__file__).parent / "systems"
TRANSPORTS = ["http", "grpc"]


def _cases() -> list[Any]:
    found = []
    for path in sorted(SYSTEMS.glob("*.yaml")):
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        for case in document["cases"]:
            found.append(pytest.param(case, id=f"{path.stem}: {case['name']}"))
    return found


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["one-process", "process-per-service"])
async def mesh(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningMesh]:
    """A running mesh without sample people, with policies of its own."""
    data = tmp_path_factory.mktemp("mesh")
    policies = data / "policies"
    shutil.copytree(DEFAULT_DIRECTORY, policies)
    if request.param == "one-process":
        async with embedded(data, policies=policies, tls=True) as in_one:
            yield in_one
    else:
        async with processes(data, policies=policies, tls=True) as in_many:
            yield in_many


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("case", _cases())
async def test_system(mesh: RunningMesh, transport: str, case: dict[str, Any]) -> None:
    """What the founding text says of the system is what its code shows."""
    async with AsyncExitStack() as stack:
        wallet = Wallet(mesh.plan.development)
        chosen: HttpClient | GrpcClient = HttpClient(mesh.http, wallet)
        if transport == "grpc":
            chosen = GrpcClient(channel_as(system_of("110000"), mesh, "gateway"), wallet)
        stack.push_async_callback(chosen.close)
        await Scenario(mesh, chosen, uuid.uuid4().hex[:12]).play(case["steps"])
