"""A SQLite file of a store: how it is opened, and what its errors become.

A file belongs to one process. It is made, and its tables are brought up to date, only by who was told to: a file that
is not there, because a volume is missing or a path is mistyped, must not become an empty store.
"""

import logging
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from services.common.errors import ServiceError
from services.runtime.storage.move.state import WRITES_CLOSED, require_served, writes_closed
from services.runtime.storage.schema import Migration, Schema, absent
from services.runtime.storage.sqlite.lock import FileLock
from services.runtime.storage.sqlite.migration import check_file, is_empty, migrate_file, read_note, require_own

log = logging.getLogger("hutong.storage.sqlite")

BUSY_SECONDS = 5.0

Unavailable = Callable[[Exception], ServiceError]
"""Makes what a caller sees of a driver's error."""


@contextmanager
def guard(unavailable: Unavailable) -> Iterator[None]:
    """Raises `unavailable` for whatever the database or its file refuses within; STORE_MOVING while it is closed to
    writes."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        log.warning("sqlite: %s: %s", type(error).__name__, error)
        if WRITES_CLOSED in str(error):
            raise writes_closed() from None
        raise unavailable(error) from None


@contextmanager
def written(connection: sqlite3.Connection) -> Iterator[None]:
    """A transaction that writes: all or nothing. Raises sqlite3.Error."""
    connection.execute("begin immediate")
    try:
        yield
        connection.execute("commit")
    except BaseException:
        if connection.in_transaction:
            connection.execute("rollback")
        raise


def connect(path: Path, *, busy_seconds: float = BUSY_SECONDS) -> sqlite3.Connection:
    """A connection to a file that is there, which begins no transaction by itself. Raises sqlite3.Error."""
    connection = _plain(path, busy_seconds)
    connection.execute("pragma journal_mode = wal")
    # FULL: a commit is on the disk before it is acknowledged, even in WAL.
    connection.execute("pragma synchronous = full")
    connection.execute("pragma cache_size = -32768")
    # Rows in order of person land on pages all over the file. Moving them there seldom, 40 MB of log at a time, writes
    # each page once for many commits.
    connection.execute("pragma wal_autocheckpoint = 10000")
    return connection


def open_file(path: Path, schema: Schema, *, migrates: bool) -> sqlite3.Connection:
    """A connection for writing to a file with the tables of a schema; `migrates` makes and migrates the file first.

    Raises SchemaError for a file that is not there or not up to date, and for one of anything else, which is not
    touched; sqlite3.Error and OSError when it cannot be opened.
    """
    if migrates:
        make_or_migrate(path, schema)
    elif not path.exists():
        raise absent(schema, "file")
    else:
        with closing(_plain(path, BUSY_SECONDS)) as file:
            require_own(file, schema)
            if is_empty(file):
                raise absent(schema, "file")
            check_file(file, schema)
            require_served(read_note(file))
    return connect(path)


def open_alone(path: Path, schema: Schema, *, migrates: bool) -> tuple[sqlite3.Connection, FileLock]:
    """The same as `open_file`, with the file's lock, which the caller releases when it closes the connection. Raises
    SchemaError also while another process serves the file, which is then neither migrated nor touched."""
    # A file that is not there may not be made: then nothing else is made beside it.
    lock = FileLock(path) if path.exists() else None
    try:
        connection = open_file(path, schema, migrates=migrates)
        return connection, lock or FileLock(path)
    except BaseException:
        if lock is not None:
            lock.release()
        raise


def make_or_migrate(path: Path, schema: Schema) -> list[Migration]:
    """Makes a file that is not there, readable by its owner alone, and brings its tables up to date; returns what was
    applied.

    Raises SchemaError for a file that is ahead of this program, and for one of anything else, which is not touched;
    sqlite3.Error and OSError when it cannot be opened.
    """
    _make(path)
    with closing(_plain(path, BUSY_SECONDS)) as file:
        require_own(file, schema)
        check_file(file, schema, behind_too=False)
    with closing(connect(path)) as file:
        return migrate_file(file, schema)


def _plain(path: Path, busy_seconds: float) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        timeout=busy_seconds,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=64,
    )


def _make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        pass
