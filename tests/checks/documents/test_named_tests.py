"""The pages about faults and threats rest on tests: each row names its own, and every named test is there."""

import re

import pytest

from tests.testkit.checks import documents, named_tests
from tests.testkit.tools import ROOT

FAULTS = ROOT / "docs" / "faults.md"
THREATS = ROOT / "docs" / "threat-model.md"
STRIDE = re.compile(r"[STRIDE](, [STRIDE])*: ")


def test_every_named_test_is_there():
    """In every document."""
    texts = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in documents.documents(ROOT)}
    assert {} == {name: gone for name, text in texts.items() if (gone := named_tests.absent(ROOT, text))}


def test_every_fault_has_a_test():
    """Its row says what a holder saw, what was lost, for how long, and which test breaks it again."""
    rows = list(named_tests.rows(FAULTS.read_text(encoding="utf-8")))
    assert len(rows) >= 35
    assert [] == [row for row in rows if len(row) not in (5, 6) or not all(row) or not list(named_tests.named(row[4]))]


@pytest.mark.parametrize(
    ("text", "gone"),
    [
        ("`tests/checks/documents/test_named_tests.py::test_every_fault_has_a_test`", []),
        (
            "`tests/checks/documents/test_named_tests.py::test_no_such_thing`",
            ["tests/checks/documents/test_named_tests.py::test_no_such_thing"],
        ),
        ("`tests/checks/test_nowhere.py::test_it`", ["tests/checks/test_nowhere.py::test_it"]),
    ],
)
def test_a_test_that_is_not_there_is_noticed(text: str, gone: list[str]):
    """By its module, or by its name."""
    assert gone == named_tests.absent(ROOT, text)


def test_every_threat_has_a_test_or_is_not_defended():
    """Its row names a STRIDE word, a control and a test, or says that there is none yet."""
    text = THREATS.read_text(encoding="utf-8")
    rows = list(named_tests.rows(text.split("## Not defended")[0]))
    assert len(rows) >= 40
    assert [] == [
        row
        for row in rows
        if len(row) != 3
        or not STRIDE.match(row[0])
        or not (row[2] == "not defended" or list(named_tests.named(row[2])))
        or (row[2] == "not defended") != row[1].startswith("none yet")
    ]
