"""Everything that is shipped has a licence that lets us, and the list of licences is up to date."""

import re

import pytest

from tests.testkit import licences_page

ALLOWED = {
    *("0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MIT-0", "MIT-CMU"),
    *("PSF-2.0", "Unlicense", "Zlib"),
    # Its files stay under it; the program that uses them unchanged does not come under it.
    "MPL-2.0",
}
"""What may be shipped with an Apache-2.0 program without more than a mention."""


def allowed(expression: str) -> bool:
    """Tells if all parts of an SPDX expression are allowed, or one of its alternatives."""
    alternatives = [alternative.split(" AND ") for alternative in expression.split(" OR ")]
    return any(all(part.strip("() ") in ALLOWED for part in parts) for parts in alternatives)


def test_what_is_shipped_may_be_shipped():
    """Tests and checks may use more: nothing of them is shipped."""
    shipped = list(licences_page.rows(licences_page.SHIPPED))
    assert len(shipped) > 20
    assert [] == [row for row in shipped if not allowed(row[2])]


def test_the_list_is_up_to_date():
    """`python -m tests.testkit.licences_page > docs/licences.md` writes it again."""
    assert licences_page.PAGE.read_text(encoding="utf-8") == licences_page.page()


@pytest.mark.parametrize(
    ("expression", "may"),
    [("MIT", True), ("Apache-2.0 AND BSD-2-Clause", True), ("GPL-3.0-only OR MIT", True), ("MIT AND LGPL-2.1", False)],
)
def test_an_expression_is_read_as_spdx_means_it(expression: str, may: bool):
    """AND asks for both, OR leaves the choice."""
    assert may == allowed(expression)


def test_the_page_names_each_pin_once():
    """However its name is written."""
    names = re.findall(r"^\| ([\w.-]+) \| \d", licences_page.PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(names) == len({name.lower().replace("_", "-") for name in names}) > 60
