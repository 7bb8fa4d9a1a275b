"""The documents speak of the tree as it is: what they link to and name exists, and large folders are explained."""

from collections import Counter

import pytest

from gateway.codes.cache.entry import BOUND_SECONDS
from tests.testkit.checks import documents
from tests.testkit.tools import ROOT

DOZEN = 12
ARCHITECTURE = ROOT / "docs" / "architecture.md"


def test_every_file_that_a_document_names_exists():
    """Links and paths in code spans, of every document; the four walks among them."""
    assert [] == documents.missing(ROOT)


def test_the_four_walks_name_their_files():
    """Each walk of docs/architecture.md is told by files, not in general."""
    text = ARCHITECTURE.read_text(encoding="utf-8")
    walks = text.split("## Four walks")[1].split("\n## ")[0].split("### ")[1:]
    assert 4 == len(walks)
    assert all(len(set(documents.paths(walk))) >= 6 for walk in walks)


@pytest.mark.parametrize(
    ("named", "absent"),
    [
        ("[a page](nowhere.md)", ["page.md: link to nowhere.md"]),
        ("[a page](page.md#part), [elsewhere](https://example.org/x.md)", []),
        ("`services/nowhere.py` holds it", ["page.md: services/nowhere.py"]),
        ("```\nservices/nowhere.py\n```", []),
        ("`services.records` is no path, nor is `any/other.py`", []),
    ],
)
def test_what_does_not_exist_is_noticed(tmp_path, named: str, absent: list[str]):
    """In a tree of one page."""
    (tmp_path / "page.md").write_text(named, encoding="utf-8")
    assert absent == documents.missing(tmp_path)


def test_a_folder_of_more_than_a_dozen_modules_is_one_thing():
    """It has a row among the folders of docs/architecture.md, or it is split."""
    modules = Counter(
        path.parent.relative_to(ROOT).as_posix()
        for folder in ("services", "gateway", "cli", "bench", "tests")
        for path in (ROOT / folder).rglob("*.py")
        if path.name != "__init__.py"
    )
    large = {folder for folder, count in modules.items() if count > DOZEN}
    explained = ARCHITECTURE.read_text(encoding="utf-8").split("## Folders")[1]
    assert set() == {folder for folder in large if f"| `{folder}` |" not in explained}


def test_the_bound_is_the_one_that_is_written_down():
    """README, architecture and glossary say 5 seconds."""
    assert BOUND_SECONDS == 5


def test_a_word_stands_once_in_the_glossary():
    """One word, one meaning."""
    text = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| ") and "Word" not in line]
    words = Counter(word for row in rows for word in row.split(", "))
    assert len(words) > 80
    assert [] == [word for word, times in words.items() if times > 1]


def test_decisions_are_numbered_without_gaps():
    """From 1 on, each by its file's name and by its title."""
    pages = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    assert [f"{number:04d}" for number in range(1, len(pages) + 1)] == [page.name[:4] for page in pages]
    untitled = [page.name for page in pages if not page.read_text(encoding="utf-8").startswith(f"# {page.name[:4]} ")]
    assert [] == untitled
