"""`hutong doctor` over a running mesh: nothing is wrong, and each mistake is found."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from cli.diagnosis.asking import Addresses, ask_all
from cli.diagnosis.judgement import findings, versions
from cli.mesh import embedded
from cli.mesh.in_process import EmbeddedMesh
from services.common.mesh_directory import Member, MeshDirectory
from services.common.mesh_secret import parse_mesh_secret
from services.runtime.settings.directory import read_directory
from services.runtime.version import VERSION

BEIJING, HUNAN = "110000", "430000"


async def found(members: MeshDirectory, addresses: Addresses, secret: bytes) -> set[tuple[str, str]]:
    """Subject and reason of everything that is wrong, but for what a loaded machine's clock says."""
    wrong = findings(members, await ask_all(members, addresses), parse_mesh_secret(secret.decode()))
    return {(one.subject, one.reason) for one in wrong if one.reason not in ("NATION_BEHIND", "CLOCK_OFF")}


def swapped(members: MeshDirectory) -> MeshDirectory:
    """The same list with two addresses exchanged."""
    regions: Mapping[str, Member] = members.regions
    one, other = regions[BEIJING], regions[HUNAN]
    return MeshDirectory(members.nation, {**regions, BEIJING: other, HUNAN: one})


async def test_a_mesh_that_is_right_and_what_may_be_wrong(tmp_path: Path) -> None:
    """Addresses swapped, another secret, a region missing in the list, a service away."""
    async with embedded(tmp_path) as mesh:
        await _diagnose(mesh)


async def _diagnose(mesh: EmbeddedMesh) -> None:
    plan = mesh.plan
    members = read_directory(str(plan.directory))
    secret = plan.secret.encode()
    addresses = Addresses(mesh.endpoints.lookup, mesh.endpoints.verdict, mesh.endpoints.operations)
    async with asyncio.timeout(30):
        # Followers and gateway have to hear everybody once before nothing is left to say.
        while await found(members, addresses, secret):
            await asyncio.sleep(0.2)
    served = versions(await ask_all(members, addresses))
    assert {VERSION: [*members.members, "lookup", "verdict", "gateway"]} == served
    wrong = await found(swapped(members), addresses, secret)
    assert {(BEIJING, "WRONG_STORE"), (HUNAN, "WRONG_STORE"), ("lookup", "DIRECTORY_DIFFERS")} == wrong
    stores = {(name, "OTHER_SECRET") for name in members.members}
    assert {*stores, ("lookup", "SECRET_NOT_TAKEN")} == await found(members, addresses, b"another secret, long enough")
    fewer = MeshDirectory(members.nation, {code: one for code, one in members.regions.items() if code != HUNAN})
    wrong = await found(fewer, addresses, secret)
    expected = {(HUNAN, "REGION_NOT_LISTED"), ("lookup", "DIRECTORY_DIFFERS"), ("gateway", "DIRECTORY_DIFFERS")}
    assert expected <= wrong
    elsewhere = replace(addresses, gateway=mesh.http)
    assert ("gateway", "UNREACHABLE") in await found(members, elsewhere, secret), "no port of operators"
    await mesh.stop(HUNAN)
    try:
        assert (HUNAN, "UNREACHABLE") in await found(members, addresses, secret)
    finally:
        await mesh.start(HUNAN)


@pytest.mark.parametrize("text", [b"regions: [", b"regions: {'999999': {records: h:1}}"])
def test_a_list_that_cannot_be_read_ends_in_a_sentence(text: bytes, tmp_path: Path, capsys) -> None:
    """Status 2, and nobody is asked."""
    from cli.main import main

    path = tmp_path / "directory.yaml"
    path.write_bytes(text)
    assert 2 == main(["doctor", "--directory", str(path)])
    assert "HUTONG_DIRECTORY" in capsys.readouterr().err


def test_an_empty_list_has_nothing_wrong(tmp_path: Path, capsys) -> None:
    """Nobody is on that mesh."""
    from cli.main import main

    path = tmp_path / "directory.yaml"
    path.write_bytes(msgspec.yaml.encode(MeshDirectory()))
    assert 0 == main(["doctor", "--directory", str(path)])
    assert "0 个服务" in capsys.readouterr().out
