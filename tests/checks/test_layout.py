"""The layout of the tests: modules of tests hold tests, and what they share is in tests/testkit."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.testkit.tools import ROOT

TESTS = ROOT / "tests"


def imports(path: Path) -> Iterator[str]:
    """Yields the dotted name of every module that a file imports from the tests."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "tests":
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "tests")


def test_what_tests_share_is_in_the_testkit():
    """A file outside it holds tests, or is a conftest.py."""
    outside = [path for path in TESTS.rglob("*.py") if "testkit" not in path.parts and path.name != "conftest.py"]
    assert outside
    assert [] == [path.relative_to(ROOT) for path in outside if not path.name.startswith("test_")]


def test_nobody_imports_a_module_of_tests():
    """Test modules share by the testkit alone, and the testkit needs none of them."""
    paths = list(TESTS.rglob("*.py"))
    assert [] == [
        f"{path.relative_to(ROOT)}: {name}"
        for path in paths
        for name in imports(path)
        if not name.startswith("tests.testkit")
    ]


def test_the_secret_of_the_tests_stands_once():
    """Every mesh that tests run takes it from tests/testkit/secret.py."""
    from tests.testkit.secret import SECRET

    assert ["tests/testkit/secret.py"] == [
        str(path.relative_to(ROOT)) for path in TESTS.rglob("*.py") if SECRET in path.read_text(encoding="utf-8")
    ]
