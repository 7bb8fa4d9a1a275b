"""Each setting that says which store a records service serves, set to a plausible wrong value: it ends with status 2
and one sentence that names the mistake, and no store is touched."""

import asyncio
import hashlib
import sys
from pathlib import Path

import pytest

from services.lookup.store.sqlite.schema import SCHEMA as HOLDERS
from services.records.settings import Settings
from services.records.store.opening import open_store
from services.runtime.storage.sqlite.file import make_or_migrate
from tests.testkit.directories import directory_file
from tests.testkit.secret import SECRET
from tests.testkit.tools import ROOT

WRONG: dict[str, tuple[dict[str, str], str]] = {
    "another region": ({"REGION": "110000"}, "belongs to 430000, not to 110000"),
    "the nation on a region's store": ({"REGION": "nation"}, "belongs to 430000, not to nation"),
    "another secret": ({"MESH_SECRET": "an old secret, long enough"}, "made under another secret (HUTONG_MESH_SECRET)"),
    "another region's store": ({"STORE_URL": "sqlite:///{tmp}/110000.db"}, "belongs to 110000, not to 430000"),
    "the nation's store": ({"STORE_URL": "sqlite:///{tmp}/nation.db"}, "belongs to nation, not to 430000"),
    "lookup's store": ({"STORE_URL": "sqlite:///{tmp}/lookup.db"}, "belongs to something else than a store of records"),
    "lookup's store, to be migrated": (
        {"STORE_URL": "sqlite:///{tmp}/lookup.db", "STORE_MIGRATE": "true"},
        "belongs to something else than a store of records",
    ),
    "a mistyped path": ({"STORE_URL": "sqlite:///{tmp}/43000.db"}, "there is no store of records in this file"),
    "an empty volume": ({"STORE_URL": "sqlite:///{tmp}/volume/430000.db"}, "there is no store of records in this file"),
    "a store that is served": ({"STORE_URL": "sqlite:///{tmp}/served.db"}, "another process serves this file"),
    "regions it keeps and follows": (
        {"REGION": "nation", "STORE_URL": "sqlite:///{tmp}/nation.db", "KEEPS": "110000"},
        "HUTONG_KEEPS and HUTONG_DIRECTORY both name ['110000']",
    ),
}


def contents(directory: Path) -> dict[str, str]:
    """The digest of every store."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(directory.glob("**/*.db"))}


async def made(directory: Path, name: str, region: str) -> None:
    """A store of a region, closed."""
    url = f"sqlite:///{directory / name}.db"
    await open_store(Settings(region=region, mesh_secret=SECRET, store_url=url, store_migrate=True)).close()


@pytest.mark.parametrize("name", WRONG)
async def test_a_wrong_store_is_a_sentence(name: str, tmp_path: Path) -> None:
    """And whoever is right may open it afterwards."""
    variables, sentence = WRONG[name]
    for region in ("430000", "110000", "nation"):
        await made(tmp_path, region, region)
    make_or_migrate(tmp_path / "lookup.db", HOLDERS)
    (tmp_path / "volume").mkdir()
    directory = directory_file(tmp_path / "directory.yaml", {"110000": "127.0.0.1:1"})
    served = open_store(
        Settings(
            region="430000", mesh_secret=SECRET, store_url=f"sqlite:///{tmp_path / 'served.db'}", store_migrate=True
        )
    )
    before = contents(tmp_path)
    asked = {
        "LISTEN": "127.0.0.1:0",
        "REGION": "430000",
        "MESH_SECRET": SECRET,
        "STORE_URL": "sqlite:///{tmp}/430000.db",
        "DIRECTORY": str(directory),
    } | variables
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.records"),
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'protos'}"}
        | {f"HUTONG_{key}": value.format(tmp=tmp_path) for key, value in asked.items()},
        cwd=ROOT,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    try:
        async with asyncio.timeout(60):
            error = (await process.stderr.read()).decode()
            status = await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
        after = contents(tmp_path)
        await served.close()
    assert (2, True) == (status, sentence in error.splitlines()[-1]), error
    assert "Traceback" not in error
    assert SECRET not in error
    assert after == before
