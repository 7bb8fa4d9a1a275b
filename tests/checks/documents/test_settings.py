"""The page, the names and the README tell the settings that the code takes."""

import msgspec
import pytest

from services.runtime.settings.environment import shape_of
from services.runtime.settings.names import NAMES
from tests.testkit.settings_page import KINDS, PAGE, page


def test_the_page_lists_every_setting_as_it_is():
    """With its default and its unit; `python -m tests.testkit.settings_page > docs/settings.md` writes it again."""
    assert page() == PAGE.read_text(encoding="utf-8")


def test_every_service_knows_the_names_of_all():
    """`services.runtime.settings.names.NAMES` is what the services take, no more and no less."""
    assert {field.name.upper() for kind in KINDS.values() for field in msgspec.structs.fields(kind)} == NAMES


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.__module__)
def test_every_setting_is_of_a_kind(kind):
    """One that says its unit and what is wrong with a value."""
    assert [] == [field.name for field in msgspec.structs.fields(kind) if shape_of(field.type)[1] is None]


def test_the_readme_leads_to_the_page(repository):
    """Nobody should have to read the code for a name."""
    assert "docs/settings.md" in (repository / "README.md").read_text(encoding="utf-8")
