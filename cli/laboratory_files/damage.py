"""Finds out from a file as a whole if a spreadsheet has changed its numbers.

A spreadsheet keeps 15 digits. An 18-digit id then ends in 000, and of such numbers one in eleven passes its check
digit, as somebody else's. No row shows that; the file does. Of the ids that people have, one in a thousand that is all
digits ends so (two digits of the serial number and the check digit).
"""

from collections.abc import Iterable, Iterator
from math import exp

from cli.laboratory_files.cleaning import fold
from cli.laboratory_files.columns import Column, Layout
from cli.laboratory_files.refusals import Refusal
from cli.laboratory_files.samples import Sample
from cli.laboratory_files.words import changed_number, is_scientific
from services.common.errors import Violation
from services.common.id_numbers import check_character

DIGITS = 18
ZEROS = "000"
CHANCE = 0.001
"""How often an undamaged id of 18 digits ends in 000."""
IMPROBABLE = 1e-4
"""A file with this many such endings, or more, comes about less often than this by chance: none of them is believed."""
_MOST_KEPT = 1_000


def ends_in_zeros(number: str) -> bool:
    """Tells if a number is one that a spreadsheet may have made."""
    return number.endswith(ZEROS) and len(number) == DIGITS and number.isascii() and number.isdigit()


class Survey:
    """Counts a file's numbers before its first row is used. Memory does not grow with the file."""

    def __init__(self) -> None:
        self._numbers = 0
        self._zeros: set[str] = set()
        self._certain = False

    def see(self, number: str) -> None:
        """Takes note of one document number as it stands in the file."""
        if len(number) == DIGITS and number[-1] != "0":
            # Most are plainly undamaged.
            self._numbers += number[-1] != "X"
            return
        word = fold(number).lstrip("'")
        if len(word) != DIGITS:
            self._certain = self._certain or is_scientific(word)
        elif word.isascii() and word.isdigit():
            self._numbers += 1
            if word.endswith(ZEROS) and len(self._zeros) < _MOST_KEPT:
                self._zeros.add(word)
                # What fails its check digit was changed for certain.
                self._certain = self._certain or word[-1] != check_character(word[:-1])

    @property
    def damaged(self) -> bool:
        """Tells if numbers that end in 000 are not to be believed: one was changed for sure, or there are too many."""
        if not self._zeros or self._certain:
            return self._certain
        return len(self._zeros) > 1 and _at_least(len(self._zeros), self._numbers * CHANCE) < IMPROBABLE


def _at_least(count: int, expected: float) -> float:
    """Returns how probable this many or more are where so many are expected (Poisson)."""
    term = exp(-expected)
    for number in range(1, count + 1):
        term *= expected / number
    total = 0.0
    while term > total * 1e-12:
        total += term
        count += 1
        term *= expected / count
    return total


def disbelieve(rows: Iterable[Sample | Refusal], layout: Layout) -> Iterator[Sample | Refusal]:
    """Yields the rows of a damaged file: those whose number ends in 000 are refused, also where it passes its check."""
    refused = changed_number("证件号码", "document's number")
    violation = Violation(layout.headers[Column.DOCUMENT_NUMBER], refused.reason, refused.text)
    for row in rows:
        if isinstance(row, Sample) and ends_in_zeros(row.document_number):
            yield Refusal(row.row, (violation,))
        else:
            yield row
