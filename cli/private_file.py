"""Files that their owner alone reads, such as keys and secrets: replaced as a whole, or not at all."""

import os
from pathlib import Path


def replace_private(path: Path, text: str) -> None:
    """Puts a text in the place of a file. Raises OSError, with the file as it was."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
