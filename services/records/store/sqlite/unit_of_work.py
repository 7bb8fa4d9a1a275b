"""One write transaction in SQLite."""

import sqlite3
from collections.abc import Sequence
from secrets import token_bytes

from hutong.records.v1.laboratory_pb2 import Laboratory

from services.common.instants import Instant
from services.records.domain.conflicts import StoredConflict
from services.records.domain.replication import Cursor
from services.records.domain.revisions import History, PersonRecord, RecordId, StoredRevision
from services.records.store.rows import (
    CONFLICT_COLUMNS,
    MARK_BYTES,
    REVISION_COLUMNS,
    changed_ids,
    conflict_rows,
    copy_rows,
    laboratory_rows,
    revision_rows,
    superseded_rows,
)
from services.records.store.sqlite import correction_requests
from services.records.store.unit_of_work import (
    BatchKey,
    Decide,
    Known,
    Plan,
    Touch,
    batch_gap,
    check_key_version,
    check_retry,
)
from services.runtime.clock import Clock

# Moves a session on, or stays where it is when the batch was committed before; no row when one before it is missing.
MOVE = """
insert into intake_session (session, batch, moved_at)
select ?1, ?2, ?3 where ?2 = 1 or exists (select 1 from intake_session where session = ?1)
on conflict (session) do update set batch = max(batch, excluded.batch), moved_at = excluded.moved_at
where excluded.batch <= intake_session.batch + 1
"""

_INSERT = f"insert into revision ({', '.join(REVISION_COLUMNS)}) values ({', '.join('?' * len(REVISION_COLUMNS))})"

_SUPERSEDE = """
update revision set superseded_at = ?5
where person_key = ?1 and region = ?2 and source_id = ?3 and revision < ?4 and superseded_at = 4611686018427387904
"""

_KEEP_CONFLICT = """
insert into conflict (conflict_id, region, source_id, revision, reason, person_key, content, offered_by,
    first_at, last_at, times, settlement, cause, settled_by)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9, 1, 0, '', '')
on conflict (conflict_id) do update
set times = times + 1, last_at = excluded.last_at, offered_by = excluded.offered_by
"""

_SETTLE = "update conflict set settlement = ?, cause = ?, settled_by = ?, settled_at = ? where conflict_id = ?"


def transact(
    write: sqlite3.Connection, touch: Touch, decide: Decide, clock: Clock, drives_copies: bool = False
) -> bytes:
    """Writes as RecordStore.commit does. Raises sqlite3.Error, and what `decide` raises, with nothing stored."""
    write.execute("begin immediate")
    try:
        answer = _answered(write, touch)
        if answer is None:
            plan = decide(_known(write, touch))
            now = _append(write, plan, clock(), drives_copies, touch)
            if touch.batch is not None:
                _move(write, touch.batch, now)
            answer = plan.answer(now)
            if plan.cursor is not None:
                cursor = plan.cursor
                row = (touch.followed, cursor.feed_id, cursor.sequence, cursor.as_of, cursor.mark, cursor.rereading)
                write.execute("insert or replace into follow values (?, ?, ?, ?, ?, ?)", row)
            if plan.conflicts:
                write.executemany(_KEEP_CONFLICT, conflict_rows(plan, now))
            if plan.settled is not None:
                settled = plan.settled
                write.execute(_SETTLE, (settled.settlement, settled.cause, settled.by, now, settled.conflict_id))
            correction_requests.keep(write, plan, now)
            if touch.request is not None:
                kept = (touch.request.key, touch.request.fingerprint, answer, now)
                write.execute("insert into answer values (?, ?, ?, ?)", kept)
        write.execute("commit")
        return answer
    except BaseException:
        if write.in_transaction:
            write.execute("rollback")
        raise


def _answered(connection: sqlite3.Connection, touch: Touch) -> bytes | None:
    if touch.request is None:
        return None
    row = connection.execute("select fingerprint, body from answer where request = ?", (touch.request.key,)).fetchone()
    if row is None:
        return None
    check_retry(touch.request, row[0])
    body: bytes = row[1]
    return body


def _move(connection: sqlite3.Connection, key: BatchKey, now: Instant) -> None:
    if not connection.execute(MOVE, (key.session, key.batch, now)).rowcount:
        raise batch_gap()


def read_history(connection: sqlite3.Connection, record_id: RecordId) -> History:
    """Returns a record's revisions, of the person whose it is, oldest first; empty when there is no such record."""
    # Most ids of an intake are new: one narrow look tells.
    identity = "select person_key from identity where region = ? and source_id = ?"
    holder = connection.execute(identity, record_id).fetchone()
    if holder is None:
        return []
    return _history_of(connection, PersonRecord(holder[0], record_id))


def read_former(connection: sqlite3.Connection, record_id: RecordId) -> Sequence[History]:
    """Returns the revisions of everybody who had an id before, oldest first."""
    former = connection.execute(
        "select person_key from former_holder where region = ?1 and source_id = ?2 and person_key not in "
        "(select person_key from identity where region = ?1 and source_id = ?2)",
        record_id,
    )
    return [_history_of(connection, PersonRecord(person_key, record_id)) for (person_key,) in former.fetchall()]


def _history_of(connection: sqlite3.Connection, record: PersonRecord) -> History:
    rows = connection.execute(
        "select revision, digest, retracted, body from revision "
        "where person_key = ? and region = ? and source_id = ? order by revision",
        (record.person_key, *record.id),
    )
    return [
        StoredRevision(revision, record.person_key, digest, bool(gone), body) for revision, digest, gone, body in rows
    ]


def _known(connection: sqlite3.Connection, touch: Touch) -> Known:
    histories = {record_id: history for record_id in touch.records if (history := read_history(connection, record_id))}
    laboratories: dict[str, Laboratory] = {}
    for laboratory in touch.laboratories:
        row = connection.execute(
            "select body from laboratory where laboratory = ? order by revision desc limit 1", (laboratory,)
        ).fetchone()
        if row is not None:
            laboratories[laboratory] = Laboratory.FromString(row[0])
    cursor = connection.execute(
        "select feed_id, sequence, as_of, mark, rereading from follow where region = ?", (touch.followed,)
    ).fetchone()
    conflict = None
    if touch.conflict:
        row = connection.execute(
            f"select {CONFLICT_COLUMNS} from conflict where conflict_id = ?", (touch.conflict,)
        ).fetchone()
        conflict = None if row is None else StoredConflict(*row)
    others = {
        record: history
        for record in touch.others
        if (holder := histories.get(record.id)) and holder[-1].person_key != record.person_key
        if (history := _history_of(connection, record))
    }
    requests = correction_requests.of_person(connection, touch.requester) if touch.requester else ()
    answered = correction_requests.one(connection, touch.correction_request) if touch.correction_request else None
    return Known(histories, laboratories, as_cursor(cursor), conflict, others, requests, answered)


def as_cursor(row: tuple[str, int, int, bytes, int] | None) -> Cursor:
    """Returns the cursor of a row of `follow`: feed_id, sequence, as_of, mark, rereading."""
    return Cursor() if row is None else Cursor(row[0], row[1], Instant(row[2]), row[3], bool(row[4]))


def _append(connection: sqlite3.Connection, plan: Plan, now: Instant, drives_copies: bool, touch: Touch) -> Instant:
    count = plan.count
    if count or plan.conflicts:
        check_key_version(touch, connection.execute("select key_version from feed_head").fetchone()[0])
    if not count:
        return now
    # Numbers come from the one row of feed_head, within the transaction: none is lost to a rollback, and SQLite lets
    # one transaction write at a time, so they are committed in their order.
    last, recorded_at = connection.execute(
        "update feed_head set sequence = sequence + ?, recorded_at = max(recorded_at + 1, ?) "
        "returning sequence, recorded_at",
        (count, now),
    ).fetchone()
    revisions = revision_rows(plan, last - count, recorded_at)
    connection.executemany("insert or ignore into identity values (?, ?, ?)", [(r[1], r[2], r[0]) for r in revisions])
    for moved in plan.moved:
        connection.execute("insert or ignore into former_holder values (?, ?, ?)", (*moved.id, moved.former))
        connection.execute(
            "update identity set person_key = ? where region = ? and source_id = ?", (moved.holder, *moved.id)
        )
    connection.executemany(_INSERT, revisions)
    connection.executemany(_SUPERSEDE, superseded_rows(plan, recorded_at))
    laboratories = laboratory_rows(plan, last - len(plan.laboratories), recorded_at)
    connection.executemany("insert into laboratory values (?, ?, ?, ?)", laboratories)
    if laboratories:
        connection.execute("update feed_head set laboratory_sequence = sequence")
    connection.execute("insert into feed_mark values (?, ?, ?)", (last, recorded_at, token_bytes(MARK_BYTES)))
    _note_copies(connection, plan, last, drives_copies)
    return Instant(recorded_at)


def _note_copies(connection: sqlite3.Connection, plan: Plan, last: int, drives_copies: bool) -> None:
    copies = copy_rows(plan)
    connection.executemany("insert or ignore into origin_copy values (?, ?, ?, ?)", copies)
    if not drives_copies:
        return
    due = [(region, source_id, last) for *_, region, source_id in copies]
    connection.executemany("insert or replace into copy_due values (?, ?, ?)", due)
    connection.executemany(
        "insert or replace into copy_due select region, source_id, ?3 from origin_copy "
        "where origin_region = ?1 and origin_source_id = ?2",
        [(*record_id, last) for record_id in changed_ids(plan)],
    )
