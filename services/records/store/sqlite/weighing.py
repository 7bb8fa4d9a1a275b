"""Tells apart, in SQLite, what programs wrote that knew of no selections."""

import sqlite3

from services.records.store.weighing import weighed

_UNWEIGHED = """
select person_key, region, source_id, revision, retracted, body from revision indexed by revision_unweighed
where latest_at = 4611686018427387904 limit ?
"""

_WEIGH = """
update revision set latest_at = ?5, weight = ?6, always_given = ?7
where person_key = ?1 and region = ?2 and source_id = ?3 and revision = ?4
"""


def weigh(write: sqlite3.Connection, most: int) -> int:
    """Weighs as Weighing.weigh does."""
    write.execute("begin immediate")
    try:
        columns = weighed(write.execute(_UNWEIGHED, (most,)))
        write.executemany(_WEIGH, columns)
        write.execute("commit")
    except BaseException:
        if write.in_transaction:
            write.execute("rollback")
        raise
    return len(columns)
