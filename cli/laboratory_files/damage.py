"""Finds out from a file as a whole if a spreadsheet has changed its numbers.

A spreadsheet keeps 15 digits. An 18-digit id then ends in 000, and of such numbers one in eleven passes its check
digit, as somebody else's. No row shows that; the file does. Of the ids that people have, one in a thousand that is all
digits ends so (two digits of the serial number and the check digit).

Sample ids of more than 15 digits are changed alike, and then many samples become one: where ids that end in zeros stand
for several people, none that ends so is an id.
"""

from collections.abc import Iterable, Iterator
from math import exp

from cli.laboratory_files.cleaning import fold
from cli.laboratory_files.columns import Column, Layout
from cli.laboratory_files.refusals import Refusal, RefusedValueError
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
KEPT_DIGITS = 15
MANY_SHARED = 0.05
"""The share of ids ending in zeros that stand for several people from which on they are taken for changed."""
_MOST_SAMPLES = 20_000


def ends_in_zeros(number: str) -> bool:
    """Tells if a number is one that a spreadsheet may have made."""
    return number.endswith(ZEROS) and len(number) == DIGITS and number.isascii() and number.isdigit()


def ends_in_lost_digits(sample_id: str) -> bool:
    """Tells if a sample id has nothing but zeros behind the digits that a spreadsheet keeps."""
    lost = sample_id[KEPT_DIGITS:]
    return bool(lost) and not lost.strip("0") and sample_id.isascii() and sample_id.isdigit()


class Survey:
    """Counts a file's numbers before its first row is used. Memory does not grow with the file."""

    def __init__(self) -> None:
        self._numbers = 0
        self._zeros: set[str] = set()
        self._certain = False
        self._samples: dict[str, str] = {}
        self._shared: set[str] = set()

    def see_sample(self, sample_id: str, number: str) -> None:
        """Takes note of a sample id, and of the number of whose it is."""
        if len(sample_id) > KEPT_DIGITS and sample_id[-1] == "0" and ends_in_lost_digits(sample_id):
            if len(self._samples) >= _MOST_SAMPLES:
                return
            if self._samples.setdefault(sample_id, number) != number:
                self._shared.add(sample_id)

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
    def samples_damaged(self) -> bool:
        """Tells if sample ids that end in zeros behind their 15th digit are not to be believed."""
        return len(self._shared) > MANY_SHARED * len(self._samples)

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


def believed(rows: Iterator[Sample | Refusal], survey: Survey, layout: Layout) -> Iterator[Sample | Refusal]:
    """Returns the rows of a file; where it is damaged, those that may have been changed are refused, also where a
    number passes its check."""
    if not (survey.damaged or survey.samples_damaged):
        return rows
    return _disbelieve(rows, survey, layout)


def _disbelieve(rows: Iterable[Sample | Refusal], survey: Survey, layout: Layout) -> Iterator[Sample | Refusal]:
    number = _changed(layout, Column.DOCUMENT_NUMBER, changed_number("证件号码", "document's number"))
    sample = _changed(layout, Column.SAMPLE_ID, changed_number("样本编号", "sample id"))
    for row in rows:
        violations: tuple[Violation, ...] = ()
        if isinstance(row, Sample):
            if survey.samples_damaged and ends_in_lost_digits(row.sample_id):
                violations += (sample,)
            if survey.damaged and ends_in_zeros(row.document_number):
                violations += (number,)
        yield Refusal(row.row, violations) if violations else row


def _changed(layout: Layout, column: Column, refused: RefusedValueError) -> Violation:
    return Violation(layout.headers[column], refused.reason, refused.text)
