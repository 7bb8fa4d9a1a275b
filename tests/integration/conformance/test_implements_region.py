"""`hutong conform --implements region`: a region of somebody's own making passes, and each fault fails its check."""

import pytest

from cli.conformance.calling import GrpcTarget
from cli.conformance.outcomes import CaseOutcome
from cli.conformance.region.checks import CHECKS, check_region
from cli.conformance.region.under_test import RegionUnderTest
from cli.mesh import embedded
from services.runtime.tls.identity import store_of
from tests.testkit.servers.hutong_up import run_cli
from tests.testkit.servers.tiny_region import FAULTS, TinyRegion, serving

REGION = "430000"


async def outcomes_of(region: TinyRegion) -> dict[str, CaseOutcome]:
    """Returns the outcome of each check at this region."""

    async def drain() -> None:
        region.draining.set()

    async with serving(region) as address:
        target = GrpcTarget(address, store_of(REGION), "conform-implements", None)
        try:
            made = await check_region(RegionUnderTest(target, REGION, drain), lambda outcome: None)
        finally:
            await target.close()
    return {outcome.id.removeprefix("implements."): outcome for outcome in made}


def test_every_check_has_a_fault_that_fails_it() -> None:
    """And no fault is of a check that there is not."""
    assert [name for name, _ in CHECKS] == list(FAULTS)


async def test_a_region_that_keeps_the_contracts_passes() -> None:
    """Every check is made, and passes."""
    outcomes = await outcomes_of(TinyRegion())
    assert {name: ("passed", []) for name in FAULTS} == {
        name: (outcome.outcome, outcome.differences) for name, outcome in outcomes.items()
    }


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_fails_its_check_alone(fault: str) -> None:
    """One fault, one check."""
    outcomes = await outcomes_of(TinyRegion(fault))
    failed = {name: outcome.differences for name, outcome in outcomes.items() if outcome.outcome == "failed"}
    assert [fault] == list(failed), failed
    assert all(failed[fault])


async def test_the_command_checks_an_address() -> None:
    """Over the command line, with a signed report; the drain is skipped where nobody says whom to drain."""
    async with serving(TinyRegion()) as address:
        status, out, _ = await run_cli("conform", address, "--implements", "region", "--region", REGION)
        assert (status, "未做 skip  implements.drained" in out) == (0, True), out
    async with serving(TinyRegion("history")) as address:
        status, out, _ = await run_cli("conform", address, "--implements", "region", "--region", REGION)
        assert (status, "未过 FAIL  implements.history" in out) == (6, True), out


async def test_the_mesh_s_own_store_passes(tmp_path) -> None:
    """What is asked of others holds here: a store with sample people, retracted and amended ones among them."""
    async with embedded(tmp_path, samples=True) as mesh:
        target = GrpcTarget(mesh.grpc[REGION], store_of(REGION), "conform-implements", None)
        try:

            async def drain() -> None:
                await mesh.stop(REGION)

            made = await check_region(RegionUnderTest(target, REGION, drain), lambda outcome: None)
        finally:
            await target.close()
    assert [] == [(outcome.id, outcome.differences) for outcome in made if outcome.outcome != "passed"]
