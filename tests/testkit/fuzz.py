"""`python -m tests.testkit.fuzz [INPUTS]`: fuzzes a mesh with 100,000 inputs, or so many, and says what was met."""

import asyncio
import os
import sys
import tempfile
from pathlib import Path
from time import perf_counter

import httpx

from tests.testkit.fuzzing.campaign import HTTP_SHARE, Findings, leaks, over_grpc, over_http
from tests.testkit.servers.hutong_up import running
from tests.testkit.servers.otlp import collecting

INPUTS = 100_000


async def _read_on(stream: asyncio.StreamReader | None) -> None:
    while stream is not None and await stream.read(65_536):
        pass


async def fuzz(data: Path, inputs: int) -> Findings:
    """Returns what so many inputs met, in a mesh of its own whose traces are all kept and searched."""
    findings = Findings()
    with collecting() as collector:
        os.environ["HUTONG_OTLP_ENDPOINT"], os.environ["HUTONG_TRACE_RATIO"] = collector.endpoint, "0.02"
        try:
            async with running(data, "--no-limits") as up:
                # Warnings go to the terminal: a pipe that nobody reads would fill, and stop the mesh.
                said = asyncio.create_task(_read_on(up.process.stderr))
                await asyncio.to_thread(over_grpc, up.endpoints, inputs - inputs // HTTP_SHARE, findings)
                await asyncio.to_thread(over_http, up.endpoints, inputs // HTTP_SHARE, findings)
                async with httpx.AsyncClient(base_url=up.endpoints.operations, timeout=10) as http:
                    metrics = (await http.get("/metrics")).content
                said.cancel()
                await asyncio.wait([said])
                await up.end()
        finally:
            del os.environ["HUTONG_OTLP_ENDPOINT"], os.environ["HUTONG_TRACE_RATIO"]
        spans = b"".join(one.span.SerializeToString() for one in collector.spans)
    findings.wrong += leaks(data, {"metrics": metrics, "traces": spans})
    return findings


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
