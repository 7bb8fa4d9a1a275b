"""Modules import one another in one direction, and never in a circle."""

from tests.testkit.checks.circles import circles, imports


def test_no_modules_import_one_another_in_a_circle():
    """Of all handwritten modules."""
    imported = imports()
    assert len(imported) > 100
    assert [] == circles(imported)


def test_a_circle_is_noticed():
    """However long it is; what only leads into one is no part of it."""
    imported = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": set(), "e": {"a"}, "f": {"f"}}
    assert [["a", "b", "c"], ["f"]] == circles(imported)
