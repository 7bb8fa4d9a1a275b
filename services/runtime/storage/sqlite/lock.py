"""Keeps a SQLite file to one process: a second one, here or on another host, is told who has it."""

import fcntl
import os
import socket
from pathlib import Path

from services.runtime.storage.schema import SchemaError

SUFFIX = ".lock"


class FileLock:
    """The lock of one file, held from when it is made until it is released or the process ends. Commands that look
    into a file, or purge it, beside the service that serves it take none: SQLite keeps them apart.

    Raises SchemaError when another process has it, OSError when the file beside it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._handle = os.open(path.with_name(path.name + SUFFIX), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(self._handle, 200, 0).decode(errors="replace").strip() or "?"
            os.close(self._handle)
            raise SchemaError(
                f"{path} 正由另一进程使用（{holder}）：一个 SQLite 文件只能由一个进程服务 / "
                f"another process serves this file ({holder}): a SQLite file is served by one alone"
            ) from None
        os.ftruncate(self._handle, 0)
        os.pwrite(self._handle, f"{socket.gethostname()} pid {os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Lets the next process have the file."""
        os.close(self._handle)
