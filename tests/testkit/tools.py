"""Runs a tool of the tree as its own process, and fails with what it said."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.testkit.needs import missing

ROOT = Path(__file__).resolve().parent.parent.parent
SECONDS = 300.0


def tool(name: str) -> str:
    """Finds a tool: beside this Python, else on the path. Skips the test, or fails it in CI, when it is nowhere."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        missing(f"no {name} here; requirements-dev.txt has it")
    return found


def run(
    *command: str | Path, cwd: Path = ROOT, environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end, whatever that is; standard error is within the output."""
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": f"{cwd}{os.pathsep}{cwd / 'protos'}", **(environ or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def passes(*command: str | Path, cwd: Path = ROOT, environ: Mapping[str, str] | None = None) -> str:
    """The output of a command that must succeed."""
    done = run(*command, cwd=cwd, environ=environ)
    if done.returncode != 0:
        pytest.fail(f"{Path(str(command[0])).name} ended with {done.returncode}:\n{done.stdout}", pytrace=False)
    return done.stdout
