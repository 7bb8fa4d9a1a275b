"""The documents' links to other files, and the paths of the tree in their code spans. Read from their text alone."""

import re
from collections.abc import Iterator
from pathlib import Path

LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s#]+)(?:#[^)]*)?\)")
SPAN = re.compile(r"`([^`\n]+)`")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
PATH = re.compile(r"(?:services|gateway|cli|bench|tests|protos|docs|k8s|examples|conformance)/[\w./-]*\w/?")


def documents(root: Path) -> list[Path]:
    """Returns every Markdown file of the tree that is ours, sorted."""
    ours = [
        "*.md",
        "docs/**/*.md",
        "k8s/**/*.md",
        "protos/*.md",
        "protos/released/*.md",
        "examples/*.md",
        "examples/*/*.md",  # no deeper: libraries that an example fetched are not ours
        "services/**/*.md",
        "tests/**/*.md",
    ]
    return sorted({path for pattern in ours for path in root.glob(pattern)})


def links(text: str) -> Iterator[str]:
    """Yields the target of every relative link."""
    for target in LINK.findall(FENCE.sub("", text)):
        if "://" not in target and not target.startswith("mailto:"):
            yield target


def paths(text: str) -> Iterator[str]:
    """Yields every code span that is a path of the tree."""
    for span in SPAN.findall(FENCE.sub("", text)):
        if PATH.fullmatch(span):
            yield span


def missing(root: Path) -> list[str]:
    """Returns what documents name and the tree does not have, one line each."""
    absent = []
    for document in documents(root):
        text = document.read_text(encoding="utf-8")
        where = document.relative_to(root)
        absent += [f"{where}: link to {target}" for target in links(text) if not (document.parent / target).exists()]
        absent += [f"{where}: {path}" for path in paths(text) if not (root / path).exists()]
    return absent
