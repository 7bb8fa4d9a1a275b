"""The release before runs beside this one: services are upgraded, and rolled back, one by one in any order, and the
golden cases of the systems come out the same on every mix.

What is asked goes through everything: results are submitted to regions' stores, followed by the nation, linked and
claimed at lookup, judged and cached; certificates prove names, and policies are those of this tree.
"""

import os
import shutil
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from cli.mesh import per_process, processes
from cli.mesh.plan import GATEWAY, LOOKUP, REGIONS, VERDICT
from gateway.identity import development
from services.common.regions import NATION
from services.verdict.policy.files import DEFAULT_DIRECTORY
from tests.testkit.golden.clients import HttpClient, Wallet
from tests.testkit.golden.scenario import Scenario
from tests.testkit.servers.mixed_mesh import MixedMesh, release_before, unpack

RELEASE = "1b95afec1fb7"
"""The release before, until versions have tags: the commit that was last delivered."""
WHOLE = os.environ.get("UPGRADES") == "all"
"""Every mix there is, which is every order of restarts, each with a case of every system: UPGRADES=all. Otherwise one
order, in which each service is upgraded before those that it calls, and two cases on each mix."""
PARTS: tuple[tuple[str, ...], ...] = ((GATEWAY,), (VERDICT,), (LOOKUP,), (NATION,), REGIONS if WHOLE else ("430000",))
"""What is restarted together."""

pytestmark = [pytest.mark.mesh, pytest.mark.slow, pytest.mark.timeout(1800 if WHOLE else 300)]


def mixes() -> Iterator[int]:
    """Yields the parts that are of the release before, as bits, each mix with one change: all of them, or one order."""
    every = len(PARTS)
    if WHOLE:
        yield from (number ^ number >> 1 for number in range(2**every))
    else:
        yield from ((2**every - 1) >> done << done for done in range(every + 1))


def cases(before: Path) -> Sequence[tuple[str, list[dict[str, Any]]]]:
    """Returns the names of the golden cases of the release before, one of each system, with their steps: of what came
    later it knows nothing."""
    chosen = []
    for path in sorted((before / "tests/golden/systems").glob("*.yaml")):
        case = yaml.safe_load(path.read_text(encoding="utf-8"))["cases"][0]
        # Of stores that are stopped: each of them is restarted anyway.
        if WHOLE or path.stem != "outages":
            chosen.append((f"{path.stem}: {case['name']}", case["steps"]))
    return chosen


@pytest.fixture
async def mesh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[MixedMesh]:
    """Returns a mesh of this tree's processes, whose services can be put back."""
    try:
        commit = release_before(RELEASE)
    except LookupError as error:
        pytest.skip(f"no release before to run: {error}")
    monkeypatch.setattr(MixedMesh, "before", unpack(commit, tmp_path / "before"))
    monkeypatch.setattr(per_process, "ProcessMesh", MixedMesh)
    policies = tmp_path / "policies"
    shutil.copytree(DEFAULT_DIRECTORY, policies)
    async with processes(tmp_path / "mesh", policies=policies, tls=True) as running:
        yield cast(MixedMesh, running)


async def test_every_mix_of_two_releases_answers_as_one(mesh: MixedMesh, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each case, on each mix, over the same stores: what one version wrote, the other reads."""
    is_before = [False] * len(PARTS)
    wrong: list[str] = []
    asked = cases(mesh.before)
    turn = cycle(asked)
    each = len(asked) if WHOLE else 2
    for mix in mixes():
        for place, names in enumerate(PARTS):
            if (wanted := bool(mix >> place & 1)) != is_before[place]:
                await mesh.put(names, is_before=wanted)
                is_before[place] = wanted
        shown = ", ".join(
            f"{names[0]} {'before' if old else 'now'}" for names, old in zip(PARTS, is_before, strict=True)
        )
        for name, steps in islice(turn, each):
            client = HttpClient(mesh.http, Wallet(mesh.plan.development))
            with monkeypatch.context() as release:
                if is_before[PARTS.index((GATEWAY,))]:
                    # The development issuer of the release before gave its only key another name.
                    release.setattr(development, "_key_id", lambda key: "development")
                try:
                    await Scenario(mesh, client, uuid.uuid4().hex[:12]).play(steps)
                except AssertionError as error:
                    wrong.append(f"{shown}: {name}: {error}")
                finally:
                    await client.close()
    assert [] == wrong
