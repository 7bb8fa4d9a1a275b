"""Docstrings begin with a sentence, or with the name of a thing; never with a fragment that has neither."""

import pytest

from tests.testkit.checks.docstrings import fragments, offenders
from tests.testkit.tools import ROOT


def test_no_docstring_begins_with_a_fragment():
    """In handwritten code and in the tests."""
    assert [] == offenders(ROOT)


@pytest.mark.parametrize(
    "first",
    [
        "What of it whose source is known.",
        "Whether it holds.",
        "Who asks, and why.",
        "Of each region, its stores.",
        "How far it has come.",
        "Up to when it has everything.",
        "As the contract has it.",
        "When it ends.",
    ],
)
def test_a_fragment_is_noticed(first: str):
    """Of a module, a class and a function alike, with its line."""
    source = f'"""{first}"""\n\nclass Thing:\n    """{first}"""\n\n    def act(self):\n        """{first}"""\n'
    assert [(1, first), (3, first), (6, first)] == sorted(fragments(source))


@pytest.mark.parametrize(
    "first",
    ["Returns what is known.", "The feed of a store.", "When it ends, the channel is closed.", "Tells if it holds."],
)
def test_a_sentence_passes(first: str):
    """It may begin with a condition that goes on."""
    assert [] == list(fragments(f'def act():\n    """{first}"""\n'))


def test_a_test_may_begin_with_its_case():
    """What it is about comes first, and what holds of it then."""
    assert [] == list(fragments('def test_it():\n    """What was stored is found again."""\n'))
