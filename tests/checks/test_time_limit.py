"""A test that hangs fails, and does not stall the run."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.testkit.tools import ROOT

HANGS = """
import asyncio, threading
async def test_that_waits_in_the_loop():
    await asyncio.Event().wait()
def test_that_waits_in_a_thread():
    threading.Event().wait()
def test_after_them():
    pass
"""


def test_every_test_has_a_limit(pytestconfig: pytest.Config):
    """Of seconds, not minutes; with an end even where no signal is heard."""
    assert 0 < float(pytestconfig.getini("timeout")) <= 300
    assert pytestconfig.getini("faulthandler_exit_on_timeout")


def test_a_test_that_hangs_fails_and_the_next_one_runs(tmp_path: Path):
    """Whatever it waits for."""
    file = tmp_path / "test_hangs.py"
    file.write_text(HANGS)
    options = ("-q", "-p", "no:cacheprovider", "-c", ROOT / "pyproject.toml", "-o", "timeout=0.5")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, file],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "2 failed, 1 passed" in done.stdout, done.stdout
    assert "Timeout (>0.5s)" in done.stdout
