"""The journal of an import, for going on after an interruption of whatever kind: a file beside the one it sends.

One line says what is sent where; then each acknowledged batch is a line of its own, written after its acknowledgement.
A line that was not finished counts as not written: its batch is sent again, which doubles nothing. It holds rows'
numbers and what was wrong with them, nothing of their content, and is removed when the import is complete.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import TextIO
from uuid import uuid4

from cli.importing.batches import BATCH_ROWS, Destination
from cli.importing.tally import Tally
from cli.laboratory_files.refusals import Refusal
from services.common.errors import Text, Violation

_COUNTS = [field.name for field in fields(Tally)]


class Journal:
    """The journal of one file's import, whose rows depend on the files `beside` it too. `session` names it to the
    store, the same after an interruption; once it is closed, `complete` says whether every row was dealt with."""

    def __init__(self, file: Path, destination: Destination, beside: Sequence[Path] = ()) -> None:
        self.path = file.with_name(f"{file.name}.resume")
        states = [path.stat() for path in (file, *beside)]
        self._about = {
            "files": [[state.st_size, state.st_mtime_ns] for state in states],
            "destination": asdict(destination),
            "batch_rows": BATCH_ROWS,
        }
        self.session = str(uuid4())
        self.resumes = False
        self.complete = False
        self._out: TextIO | None = None
        self._read_header()

    def _read_header(self) -> None:
        try:
            with self.path.open(encoding="utf-8") as lines:
                about = json.loads(next(lines, "{}"))
                session = about.pop("session", "")
        except (OSError, ValueError):
            return
        # Another file, or another destination: what was acknowledged then says nothing of what is sent now.
        if about == self._about and session:
            self.session, self.resumes = session, True

    def acknowledged(self) -> Iterator[tuple[Tally, list[Refusal]]]:
        """Returns the outcome of every batch that was acknowledged before, in order from the first."""
        if not self.resumes:
            return
        with self.path.open(encoding="utf-8") as lines:
            next(lines)
            for line in lines:
                try:
                    counts, refused = json.loads(line)
                except ValueError:
                    return
                yield Tally(*counts), [_refusal(*one) for one in refused]

    def begin(self, batches: int) -> None:
        """Keeps this many of the batches acknowledged before, and adds to them from here on."""
        kept = []
        for _, line in zip(range(batches), self.acknowledged(), strict=False):
            kept.append(_line(*line))
        with self.path.open("w", encoding="utf-8") as out:
            out.write(json.dumps(self._about | {"session": self.session}) + "\n")
            out.writelines(kept)
        self._out = self.path.open("a", encoding="utf-8")

    def add(self, counts: Tally, refusals: Sequence[Refusal]) -> None:
        """Adds the next batch."""
        if self._out is None:
            raise ValueError("the journal was not begun")
        self._out.write(_line(counts, refusals))
        self._out.flush()

    def close(self, *, complete: bool) -> None:
        """Ends it, and removes it when there is nothing left to resume."""
        if self._out is not None:
            self._out.close()
        self.complete = complete
        if complete:
            self.path.unlink(missing_ok=True)


def _line(counts: Tally, refusals: Sequence[Refusal]) -> str:
    refused = [
        [refusal.row, [[v.field, v.reason, v.text.zh, v.text.en] for v in refusal.violations]] for refusal in refusals
    ]
    return json.dumps([[getattr(counts, name) for name in _COUNTS], refused], ensure_ascii=False) + "\n"


def _refusal(row: int, violations: list[list[str]]) -> Refusal:
    return Refusal(row, tuple(Violation(field, reason, Text(zh, en)) for field, reason, zh, en in violations))
