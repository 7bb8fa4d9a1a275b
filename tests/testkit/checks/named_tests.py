"""Tests that documents name, as `tests/folder/test_module.py::test_name`, and the tests that there are."""

import ast
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def rows(text: str) -> Iterator[Sequence[str]]:
    """Yields the cells of every row of a document's tables, without heads."""
    lines = text.splitlines()
    for above, line in zip(["", *lines], lines, strict=False):
        is_head = line.startswith("|") and not above.startswith("|")
        if line.startswith("|") and not is_head and not set(line) <= set("|-: "):
            yield [cell.strip() for cell in line.strip().strip("|").split("|")]


def named(text: str) -> Iterator[tuple[str, str]]:
    """Yields module and name of every test that a text names."""
    yield from NAMED.findall(text)


def absent(root: Path, text: str) -> list[str]:
    """Returns the tests that a text names and that are not there."""
    return [f"{module}::{name}" for module, name in named(text) if name not in _tests(root / module)]


def _tests(module: Path) -> set[str]:
    if not module.exists():
        return set()
    body = ast.parse(module.read_text(encoding="utf-8")).body
    return {node.name for node in body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
