"""The data directory of a mesh: one mesh at a time, one secret for good."""

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services.common.errors import Text

SECRET_FILE = "mesh.secret"
_LOCK_FILE = "lock"


class DataDirectoryError(Exception):
    """The directory cannot be used; the text says why."""

    def __init__(self, zh: str, en: str) -> None:
        super().__init__(en)
        self.text = Text(zh, en)


@contextmanager
def locked(data: Path) -> Iterator[int]:
    """Keeps other meshes out of the directory meanwhile, and for as long as a process has the file that is given open;
    makes the directory when there is none. Raises DataDirectoryError."""
    try:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = (data / _LOCK_FILE).open("a")
    except OSError as error:
        raise DataDirectoryError(
            f"无法使用数据目录 {data}：{error.strerror}", f"Cannot use the data directory {data}: {error.strerror}"
        ) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise DataDirectoryError(f"已有互通网在使用 {data}", f"Another mesh is running from {data}") from None
        yield lock.fileno()


def mesh_secret(data: Path) -> str:
    """The secret under which this mesh makes person keys; made once, readable by its owner only.

    Raises DataDirectoryError when it is gone but records are there: under a new one, nobody would be found again.
    """
    path = data / SECRET_FILE
    try:
        return path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        pass
    if next(data.glob("*.db"), None) is not None:
        raise DataDirectoryError(
            f"{data} 中有记录，却没有密钥 {SECRET_FILE}：换了密钥就再也查不到任何人",
            f"{data} holds records but not their secret, {SECRET_FILE}: under a new one nobody would be found again",
        )
    secret = secrets.token_hex(32)
    partial = data / f".{SECRET_FILE}.{os.getpid()}"
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(secret + "\n")
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    return secret
