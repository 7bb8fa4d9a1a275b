"""A SQLite file of records, opened, and its errors as the service's."""

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from services.records.store.errors import unavailable

log = logging.getLogger("hutong.records.sqlite")

BUSY_SECONDS = 5.0


@contextmanager
def guarded() -> Iterator[None]:
    """Raises Unavailable for whatever the database refuses within."""
    try:
        yield
    except sqlite3.Error as error:
        log.warning("sqlite: %s", error)
        raise unavailable() from None


def connect(path: Path) -> sqlite3.Connection:
    """A connection that begins no transaction by itself. Raises sqlite3.Error."""
    connection = sqlite3.connect(
        path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=64
    )
    connection.execute("pragma journal_mode = wal")
    connection.execute("pragma synchronous = full")
    connection.execute("pragma cache_size = -32768")
    # Rows in order of person land on pages all over the file. Moving them there seldom, 40 MB of log at a time, writes
    # each page once for many commits.
    connection.execute("pragma wal_autocheckpoint = 10000")
    return connection


def holds_records(path: Path) -> bool:
    """Whether a file is there and has the tables of records, of whatever version. Touches nothing.

    Raises Unavailable for one that cannot be read.
    """
    if not path.is_file():
        return False
    with guarded(), closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        found = connection.execute("select 1 from sqlite_master where type = 'table' and name = 'revision'")
        return found.fetchone() is not None
