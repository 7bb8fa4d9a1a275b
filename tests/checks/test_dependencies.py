"""Each program can be imported with the distributions alone that it declares: what is optional stays optional."""

import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from importlib.metadata import packages_distributions, requires

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.testkit.tools import ROOT

PROGRAMS = {
    "services.records": (),
    "services.lookup": (),
    "services.verdict": (),
    "gateway": ("gateway",),
    "cli": ("cli",),
}
"""Each with the extras it needs."""

ENTRIES = {
    "services.records": ["composition", "__main__", "migrate", "purge"],
    "services.lookup": ["composition", "__main__", "migrate"],
    "services.verdict": ["composition", "__main__"],
    "gateway": ["composition", "__main__"],
    "cli": ["main", "mesh.wiring", "commands.migrate"],
}

_IMPORT = """
import importlib, sys
refused = set(sys.argv[1].split(","))

class Undeclared:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in refused:
            raise ModuleNotFoundError(f"{name} is not declared", name=name)

sys.meta_path.insert(0, Undeclared())
for module in sys.argv[2:]:
    importlib.import_module(module)
"""


def _declared(extras: Iterable[str]) -> Iterator[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for lines in (project["dependencies"], *(project["optional-dependencies"][extra] for extra in extras)):
        yield from map(Requirement, lines)


def _closure(extras: Iterable[str]) -> set[str]:
    """The names of all distributions that come with a program, its own dependencies' included."""
    todo, known = list(_declared(extras)), set[str]()
    while todo:
        requirement = todo.pop()
        name = canonicalize_name(requirement.name)
        if name == "hutong":
            todo += _declared(requirement.extras)
        elif name not in known and (requirement.marker is None or requirement.marker.evaluate({"extra": ""})):
            known.add(name)
            todo += map(Requirement, requires(name) or ())
    return known


def _refused(extras: Iterable[str]) -> set[str]:
    declared = _closure(extras) | {"hutong", "hutong-stubs"}
    return {
        package
        for package, distributions in packages_distributions().items()
        if not declared.intersection(map(canonicalize_name, distributions)) and package not in sys.stdlib_module_names
    }


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_is_imported_with_what_it_declares(program: str):
    """Drivers of PostgreSQL and Redis, and an HTTP server, are for who asked for them; nothing else needs them."""
    refused = _refused(PROGRAMS[program])
    assert {"asyncpg", "redis", "pytest"} <= refused
    modules = [f"{program}.{entry}" for entry in ENTRIES[program]]
    done = subprocess.run(
        [sys.executable, "-c", _IMPORT, ",".join(sorted(refused)), *modules],
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'protos'}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (0, "") == (done.returncode, done.stderr)
