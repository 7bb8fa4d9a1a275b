"""The list of rows that were not stored, for whoever sent the file."""

import csv
import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from cli.laboratory_files.refusals import Refusal

HEADER = ("row", "field", "reason", "message_zh", "message_en")


class RejectionReport:
    """A CSV file of refused rows: row, field, reason, message in Chinese and English; nothing of the row's content.

    UTF-8 with a byte order mark, so that spreadsheets read the Chinese. It takes its place when it is complete: under
    its name there is never half a report. Without refused rows none is made, unless one was asked for by name or an
    older one would go on telling of rows that are stored now.
    """

    def __init__(self, path: Path, *, always: bool) -> None:
        self._path = path
        self._always = always
        self._partial = path.with_name(f"{path.name}.partial-{os.getpid()}")
        self.rows = 0

    def __enter__(self) -> Self:
        self._file = self._partial.open("w", encoding="utf-8-sig", newline="")
        self._writer = csv.writer(self._file)
        self._writer.writerow(HEADER)
        return self

    def add(self, refusals: Sequence[Refusal]) -> None:
        """Adds rows: one line for each of a row's violations."""
        for refusal in refusals:
            self.rows += 1
            for found in refusal.violations:
                self._writer.writerow((refusal.row, found.field, found.reason, found.text.zh, found.text.en))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._file.close()
        if self.rows or self._always or self._path.exists():
            self._partial.replace(self._path)
        else:
            self._partial.unlink()
