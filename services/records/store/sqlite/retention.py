"""Deletes records whose time is over from SQLite."""

import sqlite3

from services.common.instants import Instant
from services.records.store.retention import merged_ranges
from services.records.store.values.records import Purged


def purge(write: sqlite3.Connection, before: Instant, position: int, most: int) -> Purged:
    """Purges as RecordPurge.purge does."""
    write.execute("begin immediate")
    try:
        # Commits are stamped in the order of their numbers: the first that is too new ends the purge.
        revisions_seen = write.execute(
            "select person_key, region, source_id, sequence, recorded_at from revision "
            "where sequence > ? order by sequence limit ?",
            (position, most),
        ).fetchall()
        numbers: list[int] = []
        records = 0
        for identity in dict.fromkeys(tuple(row[:3]) for row in revisions_seen if row[4] < before):
            revisions = write.execute(
                "select sequence, recorded_at, placed_at from revision "
                "where person_key = ? and region = ? and source_id = ?",
                identity,
            ).fetchall()
            if max(recorded_at for _, recorded_at, _ in revisions) < before:
                write.execute("delete from revision where person_key = ? and region = ? and source_id = ?", identity)
                whose = "where person_key = ? and region = ? and source_id = ?"
                for table in ("former_holder", "correction_request"):
                    write.execute(f"delete from {table} {whose}", identity)
                # Where the id is another's by now, all but the revisions is theirs.
                if write.execute(f"delete from identity {whose}", identity).rowcount:
                    for table in ("conflict", "copy_due", "origin_copy"):
                        write.execute(f"delete from {table} where region = ? and source_id = ?", identity[1:])
                    # The figures of their day stay; whoever waited for a result no longer does.
                    write.executemany(
                        "delete from count_waiting where placed_at = ? and region = ? and source_id = ?",
                        [(placed_at, *identity[1:]) for *_, placed_at in revisions],
                    )
                write.execute(
                    "delete from count_accused where person_key = ?1 "
                    "and not exists (select 1 from revision where person_key = ?1)",
                    identity[:1],
                )
                numbers += [sequence for sequence, *_ in revisions]
                records += 1
        for first, last in merged_ranges(numbers):
            for neighbour in write.execute(
                "delete from purged where last = ? or first = ? returning first, last", (first - 1, last + 1)
            ).fetchall():
                first, last = min(first, neighbour[0]), max(last, neighbour[1])
            write.execute("insert into purged values (?, ?)", (first, last))
        write.execute("update feed_head set purged_before = max(purged_before, ?)", (before,))
        write.execute("commit")
    except BaseException:
        if write.in_transaction:
            write.execute("rollback")
        raise
    goes_on = len(revisions_seen) == most and revisions_seen[-1][4] < before
    return Purged(records, revisions_seen[-1][3] if goes_on else None)
