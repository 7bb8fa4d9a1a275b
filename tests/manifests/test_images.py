"""The Dockerfile's images hold what their services need, and nothing is built from what the context leaves out."""

import os
import shutil
import subprocess
import sys

import msgspec
import pytest

from tests.testkit.checks.manifests import K8S, SETTINGS
from tests.testkit.tools import ROOT


def stages() -> dict[str, list[str]]:
    """The instructions of each stage of the Dockerfile that has a name."""
    found: dict[str, list[str]] = {}
    name = ""
    for line in (K8S / "Dockerfile").read_text().splitlines():
        words = line.split()
        if words[:1] == ["FROM"]:
            name = words[3] if words[2:3] == ["AS"] else ""
        if name:
            found.setdefault(name, []).append(line)
    return found


@pytest.mark.parametrize("service", sorted(SETTINGS))
def test_an_image_holds_all_its_service_imports(service, tmp_path):
    """What the Dockerfile copies is enough to import the service's entry point, and is let through by .dockerignore."""
    allowed = {
        line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")
    }
    copied = [line.split()[1:] for stage in ("runtime", service) for line in stages()[stage] if line.startswith("COPY")]
    for source, target in (words for words in copied if not words[0].startswith("--")):
        assert any(source == entry or source.startswith(f"{entry}/") for entry in allowed), source
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, tmp_path / target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            (tmp_path / target).mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / source, tmp_path / target)
    (entry,) = [line for line in stages()[service] if line.startswith("ENTRYPOINT")]
    module = msgspec.json.decode(entry.removeprefix("ENTRYPOINT "))[-1]
    # -P and -I would hide the copy; the copy comes first, and the tree itself is not on the path.
    environ = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT / 'protos'}"}
    code = f"import {module}.__main__ as entry; print(entry.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert (0, str(tmp_path)) == (done.returncode, os.path.commonpath([str(tmp_path), done.stdout.strip() or "/"])), (
        done.stderr
    )
