"""Each verdict that was given is given again, whatever happens since, in whatever order, and whoever asks meanwhile."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cli.mesh import embedded
from cli.mesh.plan import SUPERVISOR
from tests.testkit.golden.clients import GrpcClient, Wallet
from tests.testkit.golden.scenario import RunningMesh, Scenario, channel_as

PEOPLE = ("holder", "passport-old", "passport-new")
REGIONS = ("110000", "210000", "430000")
RESULTS = ("NEGATIVE", "POSITIVE", "INCONCLUSIVE")
TIMES = (("now-30h", "now-22h"), ("now-20h", "now-12h"), ("now-9h", "now-1h"))

Step = dict[str, Any]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningMesh]:
    """A mesh in one process."""
    async with embedded(tmp_path_factory.mktemp("mesh")) as running:
        yield running


class History:
    """Draws what may happen next, given what has."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.results: dict[tuple[str, str], str] = {}
        self.linked: set[tuple[str, str]] = set()
        self.suspended = False
        self.down = ""
        self.outages = 0

    def possible(self) -> list[str]:
        """The actions that make sense now."""
        actions = ["submit", "show", "show", "destinations", "switch", "link"]
        if any(region != self.down for region, _ in self.results):
            actions += ["amend", "retract"]
        if self.linked:
            actions.append("unlink")
        if not self.down:
            actions.append("claim")
        if self.down not in ("nation", "430000"):
            actions.append("lift" if self.suspended else "suspend")
        if self.down:
            actions.append("start")
        elif self.outages < 2:
            actions.append("stop")
        return actions

    def take(self, action: str, draw: Any) -> None:
        """Adds one step of this kind."""
        step = getattr(self, action)(draw)
        self.steps.append({"person": draw(st.sampled_from(PEOPLE)), "expect": {}} | step)

    def submit(self, draw: Any) -> Step:
        region = draw(st.sampled_from([code for code in REGIONS if code != self.down]))
        sampled, reported = draw(st.sampled_from(TIMES))
        name = f"r{len(self.steps)}"
        said = {"to": region, "id": name, "sampled": sampled, "lab": "doubtful" if region == "430000" else "lab"}
        result = draw(st.sampled_from([*RESULTS, ""]))
        if result:
            self.results[region, name] = result
            said |= {"result": result, "reported": reported}
        return {"submit": said}

    def _one(self, draw: Any) -> tuple[str, str]:
        one: tuple[str, str] = draw(st.sampled_from([key for key in self.results if key[0] != self.down]))
        return one

    def amend(self, draw: Any) -> Step:
        region, name = self._one(draw)
        result = draw(st.sampled_from([other for other in RESULTS if other != self.results[region, name]]))
        self.results[region, name] = result
        return {"amend": {"to": region, "id": name, "result": result, "cause": "mixed up"}}

    def retract(self, draw: Any) -> Step:
        region, name = self._one(draw)
        del self.results[region, name]
        return {"retract": {"to": region, "id": name, "cause": "another person's"}}

    def suspend(self, draw: Any) -> Step:
        self.suspended = True
        return {"suspend": {"to": "430000", "lab": "doubtful", "from": "now-25h", "until": "now-5h"}}

    def lift(self, draw: Any) -> Step:
        self.suspended = False
        return {"lift": {"to": "430000", "lab": "doubtful"}}

    def link(self, draw: Any) -> Step:
        one, other = draw(st.permutations(PEOPLE))[:2]
        if (other, one) not in self.linked:
            self.linked.add((one, other))
        return {"person": one, "link": other}

    def unlink(self, draw: Any) -> Step:
        one, other = draw(st.sampled_from(sorted(self.linked)))
        self.linked.discard((one, other))
        return {"person": one, "unlink": other}

    def switch(self, draw: Any) -> Step:
        return {"switch": {"region": "210000", "scope": draw(st.sampled_from(["LOCAL", "NATIONAL"]))}}

    def claim(self, draw: Any) -> Step:
        return {"claim": {"region": "110000"}}

    def show(self, draw: Any) -> Step:
        return {"show": {"region": draw(st.sampled_from(REGIONS)), "refresh": draw(st.booleans())}}

    def destinations(self, draw: Any) -> Step:
        return {"destinations": {"regions": list(REGIONS)}}

    def stop(self, draw: Any) -> Step:
        self.outages += 1
        self.down = draw(st.sampled_from(["nation", *REGIONS]))
        return {"stop": self.down}

    def start(self, draw: Any) -> Step:
        down, self.down = self.down, ""
        return {"start": down}


@st.composite
def histories(draw: Any) -> list[Step]:
    """Draws up to sixteen steps."""
    history = History()
    for _ in range(draw(st.integers(4, 16))):
        history.take(draw(st.sampled_from(history.possible())), draw)
    return history.steps


@pytest.mark.asyncio(loop_scope="module")
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(histories())
async def test_every_verdict_is_given_again(mesh: RunningMesh, steps: list[Step]) -> None:
    """Corrections, suspensions, links, switches, claims and outages, with questions before, after and meanwhile."""
    client = GrpcClient(channel_as(SUPERVISOR, mesh, "gateway"), Wallet(mesh.plan.development))
    scenario = Scenario(mesh, client, uuid.uuid4().hex[:12])
    over = asyncio.Event()
    asking = asyncio.ensure_future(scenario.ask_until(over, PEOPLE, REGIONS))
    try:
        await scenario.take(steps)
    finally:
        over.set()
        await asking
    await scenario.again()
    await client.close()
