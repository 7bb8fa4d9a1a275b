"""Refusals of cells, rows and files: a stable reason, and a text for people that repeats nothing of them."""

from dataclasses import dataclass

from services.common.errors import Text, Violation


class RefusedValueError(Exception):
    """A cell that cannot be read. The text never repeats what stands in it."""

    def __init__(self, reason: str, zh: str, en: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.text = Text(zh, en)


class UnreadableFileError(Exception):
    """No row of the file can be trusted. `reason` is stable and in upper snake case; `text` is for people."""

    def __init__(self, reason: str, zh: str, en: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.text = Text(zh, en)

    def __str__(self) -> str:
        return f"{self.reason}: {self.text}"


@dataclass(frozen=True, slots=True)
class Refusal:
    """One row that was refused; the violations' fields are the file's own column names."""

    row: int
    violations: tuple[Violation, ...]


def whole(row: int, reason: str, zh: str, en: str) -> Refusal:
    """Returns a row refused as a whole."""
    return Refusal(row, (Violation("", reason, Text(zh, en)),))
