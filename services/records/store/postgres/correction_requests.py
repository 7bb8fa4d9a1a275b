"""Correction requests in PostgreSQL."""

from collections.abc import Collection, Sequence

import asyncpg

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
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, 0, '', '', '')
"""

_ANSWER = """
update correction_request set answer = $2, corrected_by = $3, forwarded_to = $4, answer_text = $5, answered_by = $6,
    answered_at = $7
where correction_request_id = $1
"""

_COUNTS = """
select laboratory, kind, count(*) filter (where answer = 0), count(*) filter (where answer = 1),
    count(*) filter (where answer = 2), count(*) filter (where answer = 3),
    min(requested_at) filter (where answer = 0)
from correction_request where region = $1 group by laboratory, kind order by laboratory collate "C", kind
"""


async def keep(connection: asyncpg.Connection, plan: Plan, now: Instant) -> None:
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
        await connection.execute(_KEEP, *row)
    if plan.answered is not None:
        answered = plan.answered
        told = (answered.answer, answered.corrected_by, answered.forwarded_to, answered.text, answered.by, now)
        await connection.execute(_ANSWER, answered.correction_request_id, *told)


async def one(connection: asyncpg.Connection, correction_request_id: str) -> StoredCorrectionRequest | None:
    """Returns one request."""
    query = f"select {CORRECTION_REQUEST_COLUMNS} from correction_request where correction_request_id = $1"
    row = await connection.fetchrow(query, correction_request_id)
    return None if row is None else StoredCorrectionRequest(*row)


async def of_person(
    connection: asyncpg.Connection, person_keys: Collection[bytes]
) -> Sequence[StoredCorrectionRequest]:
    """Returns a person's newest requests, newest first."""
    query = (
        f"select {CORRECTION_REQUEST_COLUMNS} from correction_request where person_key = any($1::bytea[]) "
        "order by number desc limit $2"
    )
    return [StoredCorrectionRequest(*row) for row in await connection.fetch(query, list(person_keys), MOST_OF_PERSON)]


async def listed(
    connection: asyncpg.Connection,
    region: str,
    laboratories: Collection[str],
    after: int,
    most: int,
    answered_too: bool,
) -> Sequence[StoredCorrectionRequest]:
    """Returns requests about a region's records, in order."""
    rows = await connection.fetch(
        f"select {CORRECTION_REQUEST_COLUMNS} from correction_request where region = $1 and number > $2 "
        "and ($3 or answer = 0) and (cardinality($4::text[]) = 0 or laboratory = any($4::text[])) "
        "order by number limit $5",
        region,
        after,
        answered_too,
        list(laboratories),
        most,
    )
    return [StoredCorrectionRequest(*row) for row in rows]


async def for_late_results(
    connection: asyncpg.Connection, records: Collection[RecordId]
) -> Sequence[StoredCorrectionRequest]:
    """Returns the requests for late results about records, oldest first."""
    regions, source_ids = zip(*records, strict=True)
    rows = await connection.fetch(
        f"select {CORRECTION_REQUEST_COLUMNS} from correction_request where kind = $1 "
        "and (region, source_id) in (select * from unnest($2::text[], $3::text[])) order by number",
        RESULT_LATE,
        regions,
        source_ids,
    )
    return [StoredCorrectionRequest(*row) for row in rows]


async def counts(connection: asyncpg.Connection, region: str) -> Sequence[CorrectionRequestCount]:
    """Returns the counts of a region, by laboratory and kind."""
    return [CorrectionRequestCount(*row) for row in await connection.fetch(_COUNTS, region)]


async def newest_revision(connection: asyncpg.Connection, record: PersonRecord) -> int:
    """Returns the newest revision that a person has under an id."""
    query = "select max(revision) from revision where person_key = $1 and region = $2 and source_id = $3"
    return await connection.fetchval(query, record.person_key, *record.id) or 0
