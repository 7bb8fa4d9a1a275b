"""`python -m tests.testkit.fuzz [INPUTS]`: fuzzes a mesh with 100,000 inputs, or so many, and says what was met."""

import asyncio
import os
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter

import httpx

from bench.servers.redis import RedisServer, binary
from cli.mesh.endpoints import Endpoints
from gateway.identity.development import DevelopmentIssuer
from tests.testkit.fuzzing.campaign import Findings, over_bodies, over_grpc, over_heads, over_tokens
from tests.testkit.fuzzing.openapi import over_openapi
from tests.testkit.fuzzing.places import leaks, redis_content
from tests.testkit.servers.hutong_up import running
from tests.testkit.servers.otlp import collecting

INPUTS = 100_000
SHARE = 20
"""One input of so many is a head, one a token, two are bodies; schemathesis makes one in a thousand for each of a dozen
operations, besides. The others go over gRPC."""
LEAST_EXAMPLES = 2


async def _read_on(stream: asyncio.StreamReader | None, said: bytearray) -> None:
    while stream is not None and (piece := await stream.read(65_536)):
        said += piece


async def fuzz(data: Path, inputs: int) -> Findings:
    """Returns what so many inputs met, in a mesh of its own with a Redis, whose traces are kept and searched."""
    findings, elsewhere = Findings(), dict[str, bytes]()
    with ExitStack() as stack:
        collector = stack.enter_context(collecting())
        os.environ["HUTONG_OTLP_ENDPOINT"], os.environ["HUTONG_TRACE_RATIO"] = collector.endpoint, "0.02"
        stack.callback(os.environ.pop, "HUTONG_OTLP_ENDPOINT")
        stack.callback(os.environ.pop, "HUTONG_TRACE_RATIO")
        arguments, redis = ["--no-limits"], None
        if (executable := binary()) is not None:
            redis = RedisServer(executable, Path(stack.enter_context(tempfile.TemporaryDirectory())))
            redis.start()
            stack.callback(redis.kill)
            arguments += ["--redis", redis.url]
        async with running(data, *arguments) as up:
            # A pipe that nobody reads would fill, and stop the mesh.
            said = bytearray(up.printed.encode())
            reading = [asyncio.create_task(_read_on(one, said)) for one in (up.process.stdout, up.process.stderr)]
            try:
                await asyncio.to_thread(_send_all, up.endpoints, data / "development", inputs, findings)
                async with httpx.AsyncClient(base_url=up.endpoints.operations, timeout=30) as http:
                    elsewhere["metrics"] = (await http.get("/metrics")).content
                if redis is not None:
                    elsewhere["redis"] = await asyncio.to_thread(redis_content, redis.url)
            finally:
                up.process.terminate()
                await up.process.wait()
                await asyncio.wait(reading)
        elsewhere["terminal"] = bytes(said)
        elsewhere["traces"] = b"".join(one.span.SerializeToString() for one in collector.spans)
    findings.wrong += [f"nothing was kept of {where}" for where, content in elsewhere.items() if not content]
    findings.wrong += leaks(data, elsewhere)
    return findings


def _send_all(endpoints: Endpoints, development: Path, inputs: int, findings: Findings) -> None:
    share, examples = -(-inputs // SHARE), max(LEAST_EXAMPLES, inputs // 1_000)
    over_heads(endpoints, share, findings)
    over_tokens(endpoints, development, share, findings)
    over_bodies(endpoints, 2 * share, findings)
    supervisor = DevelopmentIssuer(development).token({"role": "supervisor", "sub": "fuzz"})
    over_openapi(endpoints.http, supervisor, examples, findings)
    over_grpc(endpoints, inputs - 4 * share, findings)


def main() -> int:
    """Runs a campaign, prints what it met, and returns 1 when something was wrong."""
    inputs = int(sys.argv[1]) if len(sys.argv) > 1 else INPUTS
    began = perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        findings = asyncio.run(fuzz(Path(folder) / "mesh", inputs))
    lines = [f"{findings.inputs} inputs in {perf_counter() - began:.0f} s"]
    lines += [f"{count:8}  {outcome}" for outcome, count in findings.outcomes.most_common()]
    lines += [*findings.wrong[:100], f"{len(findings.wrong)} findings"]
    sys.stdout.write("\n".join(lines) + "\n")
    return 1 if findings.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
