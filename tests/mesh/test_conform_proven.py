"""`hutong conform` with certificates: the cases ask for no more than a region's own system may."""

import shutil
from pathlib import Path

from cli.certificates.development import TRUST, certificate_folder
from cli.mesh.plan import system_of
from tests.testkit.servers.hutong_up import run_cli, running

REGION = "430000"


async def test_a_regions_system_plays_under_its_own_name(tmp_path: Path) -> None:
    """As a region, as a verifier, and against its own store: all that is asked is in the table of access."""
    async with running(tmp_path / "data", "--tls", "--mesh", "--no-samples") as up:
        certificates, own = Path(up.endpoints.certificates), tmp_path / "own"
        shutil.copytree(certificate_folder(certificates, system_of(REGION)), own)
        shutil.copytree(certificates / TRUST, own / TRUST)
        proven = ("--region", REGION, "--tls", str(own))
        store = up.endpoints.records[REGION]
        for command in (
            (store, "--as", "region"),
            (up.endpoints.verdict, "--as", "verifier"),
            (store, "--implements", "region"),
        ):
            status, out, err = await run_cli("conform", *command, *proven)
            assert status == 0, out + err
        status, out, _ = await run_cli("conform", store, "--as", "region", "--region", REGION)
        assert (status, "通过 pass" in out) == (6, False)
