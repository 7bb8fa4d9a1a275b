"""The page about metrics says what the code counts."""

import re

from tests.testkit.metrics_page import MODULES, PAGE, page, rows

MADE = re.compile(r'\b(?:Counter|Gauge|Histogram|Level|Durations|Summary|Info|Enum|Tally)\(\s*"(\w+)"')
NAME = re.compile(r"\bhutong_[a-z_]+[a-z]\b")

TOLD = [row for modules in MODULES.values() for row in rows(modules)]


def test_the_page_lists_every_metric_as_it_is():
    """With its labels and its meaning; `python -m tests.testkit.metrics_page > docs/metrics.md` writes it again."""
    assert page() == PAGE.read_text(encoding="utf-8")


def test_every_metric_that_the_code_makes_is_on_the_page(repository):
    """Wherever it is made."""
    sources = (path for part in ("services", "gateway", "cli") for path in (repository / part).rglob("*.py"))
    made = {name for path in sources for name in MADE.findall(path.read_text(encoding="utf-8"))}
    assert {name.removesuffix("_total") for name, *_ in TOLD} == made


def test_every_metric_says_what_it_is():
    """In a sentence."""
    assert [] == [name for name, *_, meaning in TOLD if not meaning.endswith(".")]


def test_what_an_operator_is_told_to_look_at_is_there(repository):
    """In the pages for operators."""
    pages = "".join((repository / page).read_text(encoding="utf-8") for page in ("README.md", "k8s/README.md"))
    named = set(NAME.findall(pages + PAGE.read_text(encoding="utf-8")))
    assert named - {name for name, *_ in TOLD} == set()


def test_the_readme_leads_to_the_page(repository):
    """Nobody who is woken should have to read the code for a name."""
    assert "docs/metrics.md" in (repository / "README.md").read_text(encoding="utf-8")
