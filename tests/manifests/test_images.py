"""The Dockerfile's images hold what their services need, and nothing is built from what the context leaves out."""

import os
import re
import shutil
import subprocess
import sys
import tomllib

import msgspec
import pytest

from services.common.release import RELEASE
from tests.testkit.checks.manifests import K8S, SETTINGS
from tests.testkit.tools import ROOT

IMPORT_ALL = """
import importlib, pkgutil, sys
sys.meta_path[:] = [one for one in sys.meta_path if not str(getattr(one, "__module__", "")).startswith("__editable__")]
importlib.import_module(sys.argv[1] + ".__main__")
for top in ("services", "gateway"):
    if top == "services" or sys.argv[1] == top:
        for one in pkgutil.walk_packages(importlib.import_module(top).__path__, top + "."):
            importlib.import_module(one.name)
print(*(module.__file__ for name, module in sys.modules.items()
    if name.split(".")[0] in ("services", "gateway") and getattr(module, "__file__", None)))
"""


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
    """What the Dockerfile copies is enough to import each of its modules, also those that are imported when they are
    needed, and is let through by .dockerignore."""
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
    # -P and -I would hide the copy; the copy comes first, and the tree itself is not on the path, nor found by the hook
    # of an installation for development.
    environ = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT / 'protos'}"}
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, module],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    paths = done.stdout.split()
    assert str(tmp_path / module.replace(".", "/") / "__main__.py") in paths
    assert [] == [path for path in paths if not path.startswith(str(tmp_path))]


def test_no_service_needs_to_be_installed():
    """An image holds a service's code, and no package of that name: who asks for its metadata would not start."""
    asking = [
        path.relative_to(ROOT)
        for folder in ("services", "gateway")
        for path in (ROOT / folder).rglob("*.py")
        if re.search(r"importlib\.metadata|importlib import metadata|pkg_resources", path.read_text(encoding="utf-8"))
    ]
    assert [] == asking


def test_the_packages_are_of_the_release_that_the_code_says():
    """Both versions, which go together, and the one that verdicts and reports name."""
    for path in (ROOT / "pyproject.toml", ROOT / "protos/pyproject.toml"):
        assert RELEASE == tomllib.loads(path.read_text(encoding="utf-8"))["project"]["version"]
