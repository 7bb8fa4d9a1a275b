"""Correction requests in SQLite."""

import sqlite3
from collections.abc import Collection, Sequence

from services.common.instants import Instant
from services.records.domain.correction_requests import (
    MOST_OF_PERSON,
    RESULT_LATE,
    CorrectionRequestCount,
    StoredCorrectionRequest,
)
from services.records.domain.revisions import PersonRecord, RecordId
from services.records.store.rows import CORRECTION_REQUEST_COLUMNS
from services.records.store.unit_of_work import Plan

_KEEP = """
insert into correction_request (correction_request_id, region, source_id, revision, person_key, laboratory, kind, text,
    requested_at, answer, corrected_by, forwarded_to, answer_text, answered_by)
values (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, '', '', '')
"""

_ANSWER = """
update correction_request set answer = ?, corrected_by = ?, forwarded_to = ?, answer_text = ?, answered_by = ?,
    answered_at = ?
where correction_request_id = ?
"""

_COUNTS = """
select laboratory, kind, sum(answer = 0), sum(answer = 1), sum(answer = 2), sum(answer = 3),
    min(case when answer = 0 then requested_at end)
from correction_request where region = ? group by laboratory, kind order by laboratory, kind
"""


def keep(connection: sqlite3.Connection, plan: Plan, now: Instant) -> None:
    """Stores a plan's correction request, and how one is answered."""
    if plan.requested is not None:
        new = plan.requested
        row = (
            new.correction_request_id,
            *new.id,
            new.revision,
            new.person_key,
            new.laboratory,
            new.kind,
            new.text,
            now,
        )
        connection.execute(_KEEP, row)
    if plan.answered is not None:
        answered = plan.answered
        told = (answered.answer, answered.corrected_by, answered.forwarded_to, answered.text, answered.by, now)
        connection.execute(_ANSWER, (*told, answered.correction_request_id))


def one(connection: sqlite3.Connection, correction_request_id: str) -> StoredCorrectionRequest | None:
    """Returns one request."""
    query = f"select {CORRECTION_REQUEST_COLUMNS} from correction_request where correction_request_id = ?"
    row = connection.execute(query, (correction_request_id,)).fetchone()
    return None if row is None else StoredCorrectionRequest(*row)


def of_person(connection: sqlite3.Connection, person_keys: Collection[bytes]) -> Sequence[StoredCorrectionRequest]:
    """Returns a person's newest requests, newest first."""
    rows = connection.execute(
        f"select {CORRECTION_REQUEST_COLUMNS} from correction_request "
        f"where person_key in ({_places(person_keys)}) order by number desc limit ?",
        (*person_keys, MOST_OF_PERSON),
    )
    return [StoredCorrectionRequest(*row) for row in rows]


def listed(
    connection: sqlite3.Connection,
    region: str,
    laboratories: Collection[str],
    after: int,
    most: int,
    answered_too: bool,
) -> Sequence[StoredCorrectionRequest]:
    """Returns requests about a region's records, in order."""
    own = f"and laboratory in ({_places(laboratories)}) " if laboratories else ""
    rows = connection.execute(
        f"select {CORRECTION_REQUEST_COLUMNS} from correction_request "
        f"where region = ? and number > ? and (? or answer = 0) {own}order by number limit ?",
        (region, after, answered_too, *laboratories, most),
    )
    return [StoredCorrectionRequest(*row) for row in rows]


def for_late_results(
    connection: sqlite3.Connection, records: Collection[RecordId]
) -> Sequence[StoredCorrectionRequest]:
    """Returns the requests for late results about records, oldest first."""
    rows = connection.execute(
        f"select {CORRECTION_REQUEST_COLUMNS} from correction_request where kind = ? "
        f"and (region, source_id) in (values {','.join(['(?, ?)'] * len(records))}) order by number",
        (RESULT_LATE, *(part for record in records for part in record)),
    )
    return [StoredCorrectionRequest(*row) for row in rows]


def counts(connection: sqlite3.Connection, region: str) -> Sequence[CorrectionRequestCount]:
    """Returns the counts of a region, by laboratory and kind."""
    return [CorrectionRequestCount(*row) for row in connection.execute(_COUNTS, (region,))]


def newest_revision(connection: sqlite3.Connection, record: PersonRecord) -> int:
    """Returns the newest revision that a person has under an id."""
    query = "select max(revision) from revision where person_key = ? and region = ? and source_id = ?"
    newest: int | None = connection.execute(query, (record.person_key, *record.id)).fetchone()[0]
    return newest or 0


def _places(values: Collection[object]) -> str:
    return ",".join("?" * len(values))
