"""The findings of `hutong policy check`."""

from enum import StrEnum

from msgspec import Struct

from services.common.errors import Text


class Severity(StrEnum):
    """An error must not be deployed; a warning is for someone to know; a note says what changes, and for whom."""

    ERROR = "error"
    NOTE = "note"
    WARNING = "warning"


class Finding(Struct, frozen=True):
    """One thing found, at file:line. `code` is stable."""

    severity: Severity
    code: str
    where: str
    text: Text

    def __str__(self) -> str:
        return f"{self.where}: {self.severity} {self.code}\n    {self.text.zh}\n    {self.text.en}"
