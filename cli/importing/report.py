"""The list of rows that were not stored, for whoever sent the file."""

import csv
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from cli.laboratory_files.refusals import Refusal

HEADER = ("row", "field", "reason", "message_zh", "message_en")


class RejectionReport:
    """A CSV file of refused rows: row, field, reason, message in Chinese and English; nothing of the row's content.

    `rows` counts them.
    """

    def __init__(self, out: TextIO) -> None:
        self._writer = csv.writer(out)
        self._writer.writerow(HEADER)
        self.rows = 0

    def add(self, refusals: Sequence[Refusal]) -> None:
        """Adds rows: one line for each of a row's violations."""
        for refusal in refusals:
            self.rows += 1
            for violation in refusal.violations:
                text = violation.text
                self._writer.writerow((refusal.row, violation.field, violation.reason, text.zh, text.en))


@contextmanager
def rejection_report(path: Path, *, always: bool) -> Iterator[RejectionReport]:
    """Yields the report that is to lie at this path, in UTF-8 with a byte order mark, so that spreadsheets read the
    Chinese.

    It takes its place when it is complete: under its name there is never half a report. Without refused rows none is
    made, unless one was asked for by name or an older one would go on telling of rows that are stored now.
    """
    partial = path.with_name(f"{path.name}.partial-{os.getpid()}")
    report: RejectionReport | None = None
    try:
        with partial.open("w", encoding="utf-8-sig", newline="") as out:
            report = RejectionReport(out)
            yield report
    finally:
        if report is not None and (report.rows or always or path.exists()):
            partial.replace(path)
        else:
            partial.unlink(missing_ok=True)
