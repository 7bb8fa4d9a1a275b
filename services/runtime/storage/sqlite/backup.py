"""Copies a store's SQLite file while its service writes to it."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from services.runtime.storage.schema import Schema, SchemaError, absent
from services.runtime.storage.sqlite.migration import check_file, is_empty, require_own

PARTIAL = ".partial"
"""The end of a backup's name until it is whole."""
PAGES = -1
"""All pages in one step: it reads one state of the file, and keeps no writer waiting, since the file has a write-ahead
log. In several steps each commit between them would begin the copy anew."""


def back_up(path: Path, backup: Path, schema: Schema) -> int:
    """Writes a whole and sound copy of the file as it is at one moment, readable by its owner alone, and returns its
    size in bytes. Every commit that was acknowledged before is in it. A copy that was interrupted leaves no `backup`.

    Raises SchemaError for a file that is no store of this kind or is damaged, FileExistsError for a backup that is
    there already, sqlite3.Error and OSError.
    """
    if backup.exists():
        raise FileExistsError(f"{backup} is there already: a backup is never written over")
    if not path.exists():
        raise absent(schema, "file")
    partial = backup.with_name(backup.name + PARTIAL)
    os.close(os.open(partial, os.O_CREAT | os.O_TRUNC | os.O_RDWR, 0o600))
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None)) as source:
        require_own(source, schema)
        if is_empty(source):
            raise absent(schema, "file")
        with closing(sqlite3.connect(partial, isolation_level=None)) as copy:
            source.backup(copy, pages=PAGES)
            check_file(copy, schema, behind_too=False)
            [(verdict,)] = copy.execute("pragma quick_check(1)")
            if verdict != "ok":
                raise SchemaError(f"{path} is damaged, and so would its backup be: {verdict}")
            # One file alone, without a log beside it.
            copy.execute("pragma journal_mode = delete")
    _sync(partial)
    partial.replace(backup)
    _sync(backup.parent)
    return backup.stat().st_size


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
