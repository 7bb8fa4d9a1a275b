"""Everything is upgraded at once, again and again, until a great number of codes were shown, all of them uncached.

`ROLLOUT_CODES=10000 pytest --log-cli-level=INFO tests/fault/test_long_count.py` takes some minutes; test_rollouts.py
does the same a little in each run.
"""

import asyncio
import logging
import os
from pathlib import Path

import pytest

from tests.testkit.servers.cluster import Load
from tests.testkit.servers.gateway_pod import KeptConnections
from tests.testkit.servers.mesh_on_names import mesh_on_names

log = logging.getLogger("tests.rollouts")

CODES = int(os.environ.get("ROLLOUT_CODES", "0"))
CONNECTIONS = 60
ROLLOUTS = 2
"""At the least, one right after the other."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(not CODES, reason="ROLLOUT_CODES says how many codes are counted"),
]


async def test_so_many_codes_over_upgrades_of_everything_and_none_fails(tmp_path: Path) -> None:
    """No code over gRPC, no answer over 60 kept HTTP connections, and none of these ends unannounced."""
    rollouts = 0
    async with mesh_on_names(tmp_path, 0.5) as mesh:
        await mesh.gateway.scale(2)
        async with KeptConnections(mesh.gateway, CONNECTIONS) as kept, Load(mesh.ask, 4) as load:
            while load.done < CODES or rollouts < ROLLOUTS:
                await asyncio.gather(
                    mesh.gateway.roll_as_deployment(),
                    mesh.verdict.roll_as_deployment(),
                    *(workload.roll_as_stateful_set() for workload in (mesh.lookup, mesh.nation, mesh.home)),
                )
                rollouts += 1
                log.info("%d rollouts, %d codes, %d HTTP answers", rollouts, load.done, kept.answered)
                assert ([], []) == (load.failures, kept.failures)
    assert ([], [], 0, True) == (load.failures, kept.failures, kept.lost, kept.last_answers >= CONNECTIONS)
