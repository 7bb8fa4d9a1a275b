"""docs/licences.md, made from what is pinned: `python -m tests.testkit.licences_page > docs/licences.md`."""

import importlib.metadata
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "licences.md"
SHIPPED, TOOLS = ROOT / "requirements.txt", ROOT / "requirements-dev.txt"

HEAD = """\
# Licences

hutong is licensed under [Apache-2.0](../LICENSE). What it is shipped with, and what only tests and checks use, are
other people's work under the licences below, as their own metadata tell them. This page is made from what is pinned, by
`python -m tests.testkit.licences_page > docs/licences.md`; a test says when it is not up to date, and refuses what must
not be shipped. `make sbom` writes the same, with hashes and who needs whom, for machines (CycloneDX).
"""

WORDS = {
    "3-Clause BSD License": "BSD-3-Clause",
    "BSD 2-Clause License": "BSD-2-Clause",
    "BSD": "BSD-2-Clause",
    "BSD License": "BSD-3-Clause",
    "MIT License": "MIT",
    "MIT": "MIT",
    "Apache": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}
"""What older metadata say in words, as SPDX says it."""

SPDX = re.compile(r"[A-Za-z]+-[0-9A-Za-z.-]+")

ELSEWHERE = {"async-timeout": "Apache-2.0"}
"""The licences of what only other versions of Python need, so that it is not installed here."""

IN_THE_FILE = {"axe-playwright-python": "MIT"}
"""The licences of what says its own in a file and not in its metadata; the script of axe within is MPL-2.0."""


def pinned(path: Path) -> Iterator[tuple[str, str, bool]]:
    """Yields name and version of each pin of a file, and if it is for some versions of Python alone."""
    for line in path.read_text(encoding="utf-8").splitlines():
        if pin := re.match(r"([A-Za-z0-9._-]+)==([^\s\\#;]+)( ;)?", line):
            yield pin[1], pin[2], bool(pin[3])


def licence_of(name: str) -> str:
    """Returns the licence of an installed distribution as an SPDX expression. Raises LookupError when it tells none."""
    told = importlib.metadata.metadata(name).json
    expression = told.get("license_expression")
    if isinstance(expression, str):
        return expression
    classifiers = [line.rpartition(" :: ")[2] for line in told.get("classifier", ()) if line.startswith("License")]
    for text in (str(told.get("license", "")), *classifiers):
        if text in WORDS:
            return WORDS[text]
        if SPDX.fullmatch(text):
            return text
    if name in IN_THE_FILE:
        return IN_THE_FILE[name]
    raise LookupError(f"{name}: no licence that WORDS knows: {told.get('license')!r}, {classifiers}")


def rows(path: Path) -> Iterator[tuple[str, str, str]]:
    """Yields name, version and licence of each pin; ELSEWHERE knows that of what is not needed here."""
    for name, version, conditional in pinned(path):
        try:
            yield name, version, licence_of(name)
        except importlib.metadata.PackageNotFoundError:
            if not conditional:
                raise
            yield name, version, ELSEWHERE[name]


def page() -> str:
    """Returns the whole page."""
    parts = [HEAD]
    for title, path in (("Shipped", SHIPPED), ("Tests and checks alone", TOOLS)):
        parts.append(f"\n## {title}\n\n| Distribution | Version | Licence |\n|---|---|---|\n")
        parts += [f"| {name} | {version} | {licence} |\n" for name, version, licence in sorted(rows(path), key=_name)]
    return "".join(parts)


def _name(row: tuple[str, str, str]) -> str:
    return row[0].lower()


if __name__ == "__main__":
    sys.stdout.write(page())
