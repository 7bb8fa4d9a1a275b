"""Imports point one way, and the fences hold when somebody leans on them."""

import shutil

import pytest

from tests.testkit.checks.fences import breaches
from tests.testkit.tools import ROOT, passes, run, tool

UNMADE = shutil.ignore_patterns("__pycache__", "build", "*.egg-info")

IMPORTS = [
    ("services/common/planted.py", "import services.runtime.rpc.call", "Imports point one way"),
    ("services/runtime/planted.py", "import gateway", "Imports point one way"),
    ("gateway/planted.py", "import cli.main", "Imports point one way"),
    ("services/lookup/planted.py", "import services.records", "No service imports another"),
    ("services/verdict/planted.py", "from services.lookup import domain", "No service imports another"),
    ("gateway/planted.py", "def later():\n    import services.verdict", "import no service"),
    ("services/runtime/planted.py", "import services.records", "import no service"),
    ("services/records/planted.py", "import gateway", "No service imports the gateway"),
]

DEEDS = [
    ("services/verdict/domain/planted.py", "import grpc"),
    ("services/records/domain/planted.py", "import sqlite3"),
    ("services/lookup/domain/planted.py", "import time"),
    ("services/common/planted.py", "from datetime import datetime\nNOW = datetime.now()"),
    ("services/verdict/domain/planted.py", "from services.runtime.clock import system_clock"),
    ("services/lookup/domain/planted.py", "from services.lookup.store import protocol"),
    ("services/lookup/domain/planted.py", "from hutong.records.v1 import record_read_service_pb2_grpc"),
    ("services/records/planted.py", "import asyncpg"),
    ("services/records/planted.py", "from services.records.store import sqlite"),
    ("services/lookup/planted.py", "from services.lookup.store.postgres.store import Store"),
    ("gateway/planted.py", "def later():\n    from redis.asyncio import Redis"),
    ("gateway/planted.py", "import grpc"),
]


@pytest.fixture
def copy(tmp_path):
    """A copy of the code, to plant something in."""
    for folder in ("services", "gateway", "cli", "bench"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=UNMADE)
    shutil.copytree(ROOT / "protos" / "hutong", tmp_path / "protos" / "hutong", ignore=UNMADE)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_imports_point_one_way():
    """The contracts of import-linter stand in pyproject.toml."""
    passes(tool("lint-imports"), "--no-cache")


@pytest.mark.parametrize(("file", "planted", "contract"), IMPORTS)
def test_an_import_that_points_back_is_noticed(copy, file, planted, contract):
    """Each contract is broken once, also by an import within a function."""
    (copy / file).write_text(planted + "\n")
    done = run(tool("lint-imports"), "--no-cache", cwd=copy)
    broken = [line for line in done.stdout.splitlines() if "BROKEN" in line]
    assert (1, True) == (done.returncode, any(contract in line for line in broken)), done.stdout


def test_what_is_pure_stays_pure():
    """No domain module touches a wire, a driver or a clock; only composition knows adapters; only the runtime grpc."""
    assert [] == breaches(ROOT)


@pytest.mark.parametrize(("file", "planted"), DEEDS)
def test_a_breach_is_noticed(tmp_path, file, planted):
    """Each rule is broken once."""
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    path.write_text(planted + "\n")
    assert any(file in line for line in breaches(tmp_path))
