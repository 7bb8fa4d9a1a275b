"""The pins are what is needed: exact, complete, with nothing left over and no address of a registry."""

import importlib.metadata
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.testkit.tools import ROOT

FILES = ("requirements.txt", "requirements-dev.txt")
PIN = re.compile(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+( ; [a-z_]+ [<>=]+ \"[0-9.]+\")?")
HASHES = re.compile(r"(?: --hash=sha256:[0-9a-f]{64})+")
OURS = {"hutong", "hutong-stubs"}
# For `pip install -e` without an index: the build backends.
BUILD = {"flit-core", "setuptools"}


def hashed_lines(name: str) -> list[str]:
    """Returns a file's requirements, each with its hashes in one line, without comments."""
    text = re.sub(r"\s*\\\n\s*", " ", ROOT.joinpath(name).read_text())
    found = (line.split("#")[0].strip() for line in text.splitlines())
    return [line for line in found if line]


def lines(name: str) -> list[str]:
    """Returns a file's requirements, without hashes and comments."""
    return [HASHES.sub("", line) for line in hashed_lines(name)]


def pins(*names: str) -> dict[str, Requirement]:
    """Returns the versions that the files pin, by canonical name."""
    found = [Requirement(line) for name in names for line in lines(name) if not line.startswith("-r ")]
    return {canonicalize_name(requirement.name): requirement for requirement in found}


def declared(path: Path) -> tuple[list[Requirement], dict[str, list[Requirement]]]:
    """A pyproject's dependencies and its extras."""
    project = tomllib.loads(path.read_text())["project"]
    extras = project.get("optional-dependencies", {})
    return [Requirement(line) for line in project["dependencies"]], {
        extra: [Requirement(line) for line in wanted] for extra, wanted in extras.items()
    }


def closure(extra: str) -> set[str]:
    """Every distribution that hutong with this extra needs, by the metadata of what is installed here."""
    core, extras = declared(ROOT / "pyproject.toml")
    stubs, _ = declared(ROOT / "protos" / "pyproject.toml")
    needed: set[str] = set()
    todo: list[tuple[str, frozenset[str]]] = [
        (canonicalize_name(one.name), frozenset(one.extras)) for one in core + stubs
    ]
    seen = set(todo)
    pinned = pins(*FILES)

    def more(requirements: Iterable[Requirement]) -> None:
        for one in requirements:
            if canonicalize_name(one.name) == "hutong":
                for named in one.extras:
                    more(extras[named])
                continue
            item = (canonicalize_name(one.name), frozenset(one.extras))
            if item not in seen:
                seen.add(item)
                todo.append(item)

    more(extras[extra])
    while todo:
        name, with_extras = todo.pop()
        needed.add(name)
        marker = pinned[name].marker if name in pinned else None
        if name in OURS or (marker is not None and not marker.evaluate()):
            continue
        for line in importlib.metadata.distribution(name).requires or ():
            one = Requirement(line)
            # Debian 12 has 3.11.2, for which some need more than for a later 3.11.
            environments = [{"extra": named} for named in ("", *with_extras)]
            if one.marker is None or any(
                one.marker.evaluate({**environment, **version})
                for environment in environments
                for version in ({}, {"python_full_version": "3.11.2", "python_version": "3.11"})
            ):
                more([one])
    return needed - OURS


@pytest.mark.parametrize("name", FILES)
def test_every_line_is_an_exact_version_and_nothing_else(name):
    """No address, no option of an index: those belong to the machine."""
    wrong = [line for line in lines(name) if not PIN.fullmatch(line) and line != "-r requirements.txt"]
    assert [] == wrong
    assert not re.search(r"https?:|--(?!hash=sha256:)", ROOT.joinpath(name).read_text())


@pytest.mark.parametrize("name", [*FILES, "requirements-sbom.txt"])
def test_every_pin_has_the_hashes_of_its_files(name):
    """One without would make pip refuse the whole file, and so would a file that was exchanged at the index. `.ci/pin`
    writes them."""
    unhashed = [line for line in hashed_lines(name) if not HASHES.search(line) and line != "-r requirements.txt"]
    assert [] == unhashed


def test_a_running_mesh_has_what_it_needs_and_no_more():
    """requirements.txt is the closure of the core and the extra `all`."""
    assert closure("all") | BUILD == set(pins("requirements.txt"))


def test_tests_have_what_they_need_and_no_more():
    """requirements-dev.txt adds the closure of the extra `dev`."""
    assert closure("dev") | BUILD == set(pins(*FILES))


def test_the_pins_satisfy_what_is_declared():
    """Floors in pyproject.toml are floors, not wishes."""
    pinned = {name: str(one.specifier).removeprefix("==") for name, one in pins(*FILES).items()}
    core, extras = declared(ROOT / "pyproject.toml")
    stubs, _ = declared(ROOT / "protos" / "pyproject.toml")
    wanted = [*core, *stubs, *(one for several in extras.values() for one in several)]
    unmet = [
        str(one)
        for one in wanted
        if canonicalize_name(one.name) not in OURS and pinned[canonicalize_name(one.name)] not in one.specifier
    ]
    assert [] == unmet


def test_this_environment_has_the_pinned_versions():
    """What was tested is what is pinned."""
    here: dict[str, str] = {
        canonicalize_name(one.metadata["Name"]): one.version for one in importlib.metadata.distributions()
    }
    other = {
        name: (here[name], str(one.specifier))
        for name, one in pins(*FILES).items()
        if name in here and here[name] not in one.specifier
    }
    assert {} == other
