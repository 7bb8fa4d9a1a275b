"""Docstrings whose first sentence is a fragment: "What of it…", "Whether…", "Who…" have no subject and no verb."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.testkit.checks.fences import HANDWRITTEN

FOLDERS = (*HANDWRITTEN, "tests")

FRAGMENT = re.compile(
    r"(What|Whatever|Whether|Which|Whichever|Who|Whoever|Whom|Whose|Where|Why|How|Of|Up to|So|There)\b"
    r"|(As|When)\b(?!.*, )"
)
"""How a fragment begins. "When it ends, …" and "As everybody, …" go on with a sentence; without a comma they do not."""

Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def fragments(source: str) -> Iterator[tuple[int, str]]:
    """Yields the line and the first line of every docstring that begins as a fragment. A test is passed over: what it
    says may begin with the case that it is about."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, Documented) or getattr(node, "name", "").startswith("test_"):
            continue
        first, _, _ = (ast.get_docstring(node) or "").partition("\n")
        if FRAGMENT.match(first):
            yield getattr(node, "lineno", 1), first


def offenders(root: Path) -> list[str]:
    """Returns one line for every fragment in handwritten code."""
    return [
        f"{path.relative_to(root)}:{line}: {first}"
        for folder in FOLDERS
        for path in sorted((root / folder).rglob("*.py"))
        for line, first in fragments(path.read_text(encoding="utf-8"))
    ]
