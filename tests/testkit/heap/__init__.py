"""The most memory that processes under test have in use, other than what is resident."""

import os
from pathlib import Path

from tests.testkit.tools import ROOT


def watched(folder: Path) -> dict[str, str]:
    """Returns the environment of a process whose heap is watched; its figures are files in this folder."""
    paths = (Path(__file__).parent, ROOT, ROOT / "protos")
    return {
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
        "PYTHONMALLOC": "malloc",
        "MALLOC_ARENA_MAX": "1",
        "HEAP_FIGURES": str(folder),
    }


def most_in_use(folder: Path, pid: int) -> float:
    """Returns the most that a watched process ever had in use, in MiB."""
    return int((folder / str(pid)).read_text()) / 1024**2
