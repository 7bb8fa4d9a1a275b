"""One trace from the HTTP request through every service and store that is asked, with nothing of the person in it."""

import asyncio
import secrets
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from cli.samples.people import PEOPLE
from tests.testkit.servers.hutong_up import running
from tests.testkit.servers.otlp import Collector, Tree, collecting
from tests.testkit.servers.redis import RedisServer

EXPECTED = yaml.safe_load((Path(__file__).parent / "traces" / "show.yaml").read_text(encoding="utf-8"))
ATTRIBUTES = ("region", "scope", "status", "cache.outcome", "source")
PATIENCE_SECONDS = 10.0


async def _shown(http: str, body: dict[str, Any]) -> str:
    """Shows a code in a sampled trace of the caller's; the trace's id."""
    trace_id = secrets.token_hex(16)
    async with httpx.AsyncClient(base_url=http, timeout=10) as client:
        reply = await client.post(
            "/v1/healthCode:show", json=body, headers={"traceparent": f"00-{trace_id}-{secrets.token_hex(8)}-01"}
        )
    assert reply.status_code == 200, reply.text
    assert reply.headers["traceparent"].split("-")[1] == trace_id
    return trace_id


async def _tree(collector: Collector, trace_id: str, spans: int) -> list[Tree]:
    """The trace once it has as many spans as expected; spans arrive in batches."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(collector.trace(trace_id)) < spans and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
    return collector.trees(trace_id, ATTRIBUTES)


def _count(trees: list[Tree]) -> int:
    return sum(1 + _count(tree.get("children", [])) for tree in trees)


async def test_one_trace_from_the_request_to_every_store(
    way: Sequence[str], tmp_path: Path, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tree of spans is the same in one process and in many, and holds neither document nor person key."""
    person = next(one for one in PEOPLE if one.look == "110000")
    document = {"type": "RESIDENT_ID", "number": person.number}
    with collecting() as collector:
        monkeypatch.setenv("HUTONG_OTLP_ENDPOINT", collector.endpoint)
        monkeypatch.setenv("HUTONG_TRACE_RATIO", "0")
        async with running(tmp_path, *way, "--redis", redis_server.url) as up:
            # Sample people are shown once at the start, but at no place of a kind: this is not in the cache.
            body = {"document": document, "region": "110000", "scene": "WORKPLACE"}
            for outcome in ("miss", "hit"):
                trace_id = await _shown(up.endpoints.http, body)
                assert await _tree(collector, trace_id, _count(EXPECTED[outcome])) == EXPECTED[outcome]
        everything = b"".join(one.span.SerializeToString() for one in collector.spans)
        assert person.number.encode() not in everything
        assert all("person" not in name for one in collector.spans for name in one.attributes)


async def test_nothing_is_traced_where_nothing_is_configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Silent without a collector, even when the caller samples; the answer still names the trace."""
    monkeypatch.delenv("HUTONG_OTLP_ENDPOINT", raising=False)
    person = next(one for one in PEOPLE if one.look == "110000")
    async with running(tmp_path) as up:
        await _shown(
            up.endpoints.http, {"document": {"type": "RESIDENT_ID", "number": person.number}, "region": "110000"}
        )
        _, _, err = await up.end()
    assert err == ""
