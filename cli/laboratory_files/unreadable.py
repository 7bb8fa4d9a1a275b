"""The error of a file that cannot be read as a whole."""

from services.common.errors import Text


class UnreadableFileError(Exception):
    """No row of the file can be trusted. `reason` is stable and in upper snake case; `text` is for people."""

    def __init__(self, reason: str, zh: str, en: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.text = Text(zh, en)

    def __str__(self) -> str:
        return f"{self.reason}: {self.text}"
