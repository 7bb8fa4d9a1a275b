"""One row of a laboratory file that could be read, and what a reader notes besides rows."""

from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from hutong.common.v1.subject_pb2 import DocumentType
from hutong.records.v1.record_pb2 import TestResult, Tube
from hutong.records.v1.record_write_service_pb2 import CorrectionKind

from services.common.instants import Instant


class DeclaredCorrection(NamedTuple):
    """A source's word that a row corrects what it said before under the same sample id, and why."""

    kind: CorrectionKind.ValueType
    cause: str


class Sample(NamedTuple):
    """One row that could be read. `row` counts lines, the first being 1, as spreadsheets do. Whether it makes a valid
    record (a report after its sample, a sample not in the future) is for the region's store to judge."""

    row: int
    sample_id: str
    document_type: DocumentType.ValueType
    document_number: str
    sampled_at: Instant | None
    reported_at: Instant | None
    result: TestResult.ValueType
    tube: Tube.ValueType
    correction: DeclaredCorrection | None = None

    def __repr__(self) -> str:
        # The document's number is in no log and no traceback.
        return f"Sample(row={self.row})"


sample_of = partial(tuple.__new__, Sample)
"""A Sample of a tuple of all its fields, in half the time."""

MOST_NAMED = 200
"""Different things that are counted by name; what comes after them is counted together."""
OTHERS = "其他 others"


@dataclass(slots=True)
class Notes:
    """The counts of what a reader passed over without refusing it, and took off cells, while the rows are read."""

    titles: int = 0
    totals: int = 0
    cleaned: Counter[str] = field(default_factory=Counter)
    passed_over: Counter[str] = field(default_factory=Counter)

    def pass_over(self, what: str) -> None:
        """Counts one thing that is no nucleic-acid test, by what it was."""
        known = what in self.passed_over or len(self.passed_over) < MOST_NAMED
        self.passed_over[what if known else OTHERS] += 1
