"""The wheel holds what runs: code, data beside it, and the command."""

import shutil
import sys
import zipfile

import pytest

from tests.testkit.tools import ROOT, passes

UNBUILT = shutil.ignore_patterns("__pycache__", "build", "*.egg-info")
DATA = {".csv", ".yaml", ".json", ".html", ".css", ".js", ".svg", ".sql", ".mjs", ".png", ".ttf"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The distribution `hutong`, built from a copy of the tree."""
    copy = tmp_path_factory.mktemp("tree")
    for folder in ("services", "gateway", "cli", "tests", "k8s"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=UNBUILT)
    for file in ("pyproject.toml", "LICENSE"):
        shutil.copy(ROOT / file, copy)
    passes(sys.executable, "-m", "pip", "wheel", "-qq", "--no-deps", "--no-build-isolation", "-w", copy / "out", copy)
    (built,) = (copy / "out").glob("hutong-*.whl")
    return zipfile.ZipFile(built)


def test_every_module_and_its_data_is_in_the_wheel(wheel):
    """And nothing else: no tests, no manifests."""
    tree = {
        str(path.relative_to(ROOT))
        for folder in ("services", "gateway", "cli")
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    packed = {name for name in wheel.namelist() if ".dist-info/" not in name}
    wanted = {name for name in tree if any(name.endswith(suffix) for suffix in {".py", *DATA})}
    assert (set(), set()) == (wanted - packed, packed - tree)
    assert set() == {name for name in tree - wanted if not name.endswith(".md")}, "data of a kind pyproject.toml lacks"


def test_the_licence_is_in_the_wheel(wheel):
    """Apache-2.0, as its metadata say, with the whole text."""
    (metadata,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    (text,) = [name for name in wheel.namelist() if name.endswith("/LICENSE")]
    assert "License-Expression: Apache-2.0" in wheel.read(metadata).decode()
    assert (ROOT / "LICENSE").read_bytes() == (ROOT / "protos" / "LICENSE").read_bytes() == wheel.read(text)


def test_the_command_is_there(wheel):
    """`hutong` is cli.main:main."""
    (entry,) = [name for name in wheel.namelist() if name.endswith("entry_points.txt")]
    assert "hutong = cli.main:main" in wheel.read(entry).decode()
