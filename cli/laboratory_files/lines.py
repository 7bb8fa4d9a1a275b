"""Lines of bounded length, so that a file without line ends cannot fill the memory."""

from collections.abc import Iterator
from typing import TextIO

LONGEST_LINE = 64 * 1024
"""Characters; a line that is longer is cut here, and refused for its length by the reader of rows."""


def bounded_lines(file: TextIO, most: int = LONGEST_LINE) -> Iterator[str]:
    """Yields the file's lines, each at most `most` + 1 characters long; what exceeds that is skipped."""
    while line := file.readline(most + 1):
        yield line
        while len(line) > most and not line.endswith("\n"):
            line = file.readline(most + 1)
            if not line:
                return
