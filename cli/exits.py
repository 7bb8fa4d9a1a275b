"""Exit statuses of commands, and the way they say what went wrong."""

import sys
from enum import IntEnum

from services.common.errors import Text


class Exit(IntEnum):
    """Exit statuses."""

    OK = 0
    USAGE = 2
    """The command line, or a file it names, cannot be used."""
    ROWS_REFUSED = 3
    """Done, but some rows were refused."""
    UNREACHABLE = 4
    """The mesh could not be reached or did not take what was sent."""
    WAITING = 5
    """Done, and something waits for an operator's word."""
    REFUSED = 6
    """A certificate, a report or a case was not accepted."""
    INTERRUPTED = 130


def complain(text: Text) -> None:
    """Says what went wrong in one line on standard error."""
    print(f"hutong: {text}", file=sys.stderr)
