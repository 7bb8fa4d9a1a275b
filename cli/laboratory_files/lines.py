"""Lines of bounded length, so that a file without line ends cannot fill the memory."""

from collections.abc import Iterator
from typing import TextIO

LONGEST_LINE = 64 * 1024
"""Characters; a line that is longer is cut here, and refused for its length by the reader of rows."""


def bounded_lines(file: TextIO) -> Iterator[str]:
    """The file's lines, each at most LONGEST_LINE + 1 characters long; what exceeds that is skipped."""
    while line := file.readline(LONGEST_LINE + 1):
        yield line
        while len(line) > LONGEST_LINE and not line.endswith("\n"):
            line = file.readline(LONGEST_LINE + 1)
            if not line:
                return
