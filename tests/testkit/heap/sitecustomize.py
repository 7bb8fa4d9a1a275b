"""The heap of a process under test, in a file: put this folder on PYTHONPATH, and Python loads it by itself.

Memory that is resident says little on a busy machine: threads that wait for each other get arenas of their own, and
what is freed stays. What is in use, of Python and of its libraries, is counted here by the C library itself. That needs
PYTHONMALLOC=malloc, so that Python's objects are counted too; HEAP_FIGURES names the folder for the files.
"""

import ctypes
import os
import threading
import time
from pathlib import Path

_SECONDS = 0.02


class _MallInfo2(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_size_t)
        for name in "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()
    ]


def _watch(file: Path) -> None:
    library = ctypes.CDLL(None)
    library.mallinfo2.restype = _MallInfo2
    most = 0
    while True:
        figures = library.mallinfo2()
        if figures.uordblks + figures.hblkhd > most:
            most = figures.uordblks + figures.hblkhd
            file.write_text(str(most))
        time.sleep(_SECONDS)


if folder := os.environ.get("HEAP_FIGURES"):
    threading.Thread(target=_watch, args=(Path(folder, str(os.getpid())),), daemon=True).start()
