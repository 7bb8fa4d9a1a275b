"""The counts of laboratories' quality in SQLite.

They are read where they are asked for, on the event loop, a millisecond's worth at a time, from a connection of their
own for each snapshot: a snapshot on the one that people are read from would keep what is new from them.
"""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any

from services.common.instants import Instant
from services.records.domain.quality import Key, Sample
from services.records.domain.tally import SpanKey
from services.records.store.protocols.figures import FigureReads
from services.records.store.rows import by_record
from services.records.store.sqlite.file import guarded
from services.records.store.values.feed import ChangeRow
from services.records.store.values.figures import (
    CountedChanges,
    CountProgress,
    NumberedRevisions,
    PositiveDay,
    RecordKey,
)
from services.runtime.storage.sqlite.file import connect

AT_ONCE = 128
"""Rows, or questions of one row each, before others have their turn."""

CHANGES = """
select sequence, 0, body, 0 from revision where sequence > ?1 and sequence <= ?2 union all
select sequence, 1, body, 0 from laboratory where sequence > ?1 and sequence <= ?2 union all
select last, 0, x'', first from purged where last > ?1 and first <= ?2 order by 1
"""

PURGED = """
select coalesce(sum(min(last, ?2) - max(first, ?1 + 1) + 1), 0) from purged where last > ?1 and first <= ?2
"""

_PROGRESS = """
select rules, sequence, complete, coalesce((
    select arrived_at from feed_mark where last_sequence <= count_head.sequence order by last_sequence desc limit 1
), 0), (select sequence from feed_head)
from count_head
"""

WAITING = """
select placed_at, region, source_id, laboratory from count_waiting
where (placed_at, region, source_id) > (?1, ?2, ?3) and placed_at < ?4
order by placed_at, region, source_id limit ?5
"""

WAITING_OF_LABORATORY = """
select placed_at, region, source_id, laboratory from count_waiting
where laboratory = ?6 and (placed_at, region, source_id) > (?1, ?2, ?3) and placed_at < ?4
order by placed_at, region, source_id limit ?5
"""


class _SqliteFigures:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    async def _each(self, query: str, asked: Sequence[Sequence[object]]) -> list[list[Any]]:
        """Returns the rows of one query asked many times."""
        answers = []
        for start in range(0, len(asked), AT_ONCE):
            answers += [self._connection.execute(query, each).fetchall() for each in asked[start : start + AT_ONCE]]
            await asyncio.sleep(0)
        return answers

    async def _all(self, query: str, *parameters: object) -> list[Any]:
        cursor = self._connection.execute(query, parameters)
        answers: list[Any] = []
        while rows := cursor.fetchmany(AT_ONCE):
            answers += rows
            await asyncio.sleep(0)
        return answers

    async def progress(self) -> CountProgress:
        """See FigureReads."""
        rules, sequence, complete, as_of, head = self._connection.execute(_PROGRESS).fetchone()
        return CountProgress(rules, sequence, bool(complete), as_of, head)

    async def changes(self, after: int, most: int) -> Sequence[ChangeRow]:
        """See FigureReads."""
        rows = self._connection.execute(CHANGES, (after, after + most))
        return [ChangeRow(sequence, bool(kind), body, first) for sequence, kind, body, first in rows]

    async def purged(self, after: int, up_to: int) -> int:
        """See FigureReads."""
        return int(self._connection.execute(PURGED, (after, up_to)).fetchone()[0])

    async def record_keys(self, ids: Sequence[tuple[str, str]]) -> Sequence[RecordKey]:
        """See FigureReads."""
        answers = await self._each("select person_key from identity where region = ? and source_id = ?", ids)
        return [(rows[0][0], *key) for key, rows in zip(ids, answers, strict=True) if rows]

    async def revisions(self, records: Sequence[RecordKey], up_to: int) -> Mapping[RecordKey, NumberedRevisions]:
        """See FigureReads."""
        query = (
            "select sequence, body from revision where person_key = ? and region = ? and source_id = ? "
            "and sequence <= ? order by revision"
        )
        answers = await self._each(query, [(*key, up_to) for key in records])
        return {key: rows for key, rows in zip(records, answers, strict=True) if rows}

    async def people(self, person_keys: Sequence[bytes], up_to: int) -> Mapping[bytes, Sequence[NumberedRevisions]]:
        """See FigureReads."""
        query = (
            "select region, source_id, sequence, body from revision where person_key = ? and sequence <= ? "
            "order by region, source_id, revision"
        )
        answers = await self._each(query, [(key, up_to) for key in person_keys])
        return {
            key: list(by_record((tuple(row[:2]), row[2], row[3]) for row in rows).values())
            for key, rows in zip(person_keys, answers, strict=True)
        }

    async def positive_days(self, asked: Sequence[PositiveDay]) -> Sequence[PositiveDay]:
        """See FigureReads."""
        answers = await self._each("select 1 from count_accused where person_key = ? and day = ?", asked)
        return [key for key, rows in zip(asked, answers, strict=True) if rows]

    async def tallies(self, keys: Sequence[Key]) -> Mapping[Key, bytes]:
        """See FigureReads."""
        answers = await self._each("select body from count_tally where laboratory = ? and day = ?", keys)
        return {key: rows[0][0] for key, rows in zip(keys, answers, strict=True) if rows}

    async def tallies_between(self, first: int, last: int) -> Mapping[Key, bytes]:
        """See FigureReads."""
        query = "select laboratory, day, body from count_tally where day between ? and ?"
        return {(laboratory, day): body for laboratory, day, body in await self._all(query, first, last)}

    async def spans(self, keys: Sequence[SpanKey]) -> Mapping[SpanKey, bytes]:
        """See FigureReads."""
        answers = await self._each("select body from count_span where laboratory = ? and day = ? and span = ?", keys)
        return {key: rows[0][0] for key, rows in zip(keys, answers, strict=True) if rows}

    async def waiting_by_laboratory(self, first: Instant, end: Instant) -> Mapping[str, int]:
        """See FigureReads."""
        query = "select laboratory, count(*) from count_waiting where placed_at >= ? and placed_at < ? group by 1"
        return dict(await self._all(query, first, end))

    async def waiting(self, laboratory: str, first: Sample, end: Instant, most: int) -> Sequence[Sample]:
        """See FigureReads."""
        query = WAITING_OF_LABORATORY if laboratory else WAITING
        asked = (*first[:3], end, most, laboratory) if laboratory else (*first[:3], end, most)
        return [Sample(*row) for row in await self._all(query, *asked)]


@contextmanager
def _transaction(write: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    write.execute("begin immediate")
    try:
        yield write
        write.execute("commit")
    except BaseException:
        if write.in_transaction:
            write.execute("rollback")
        raise


def _keep(write: sqlite3.Connection, counted: CountedChanges) -> bool:
    if write.execute(PURGED, (counted.since, counted.sequence)).fetchone()[0] != counted.purged:
        return False
    moved = write.execute(
        "update count_head set sequence = ?, complete = ? where rules = ? and sequence = ?",
        (counted.sequence, counted.complete, counted.rules, counted.since),
    )
    if not moved.rowcount:
        return False
    tallies = [(day, laboratory, body) for (laboratory, day), body in counted.tallies.items()]
    _put(write, "insert or replace into count_tally values (?, ?, ?)", tallies)
    _put(write, "delete from count_tally where day = ? and laboratory = ?", tallies, gone=True)
    spans = [(day, laboratory, span, body) for (laboratory, day, span), body in counted.spans.items()]
    _put(write, "insert or replace into count_span values (?, ?, ?, ?)", spans)
    _put(write, "delete from count_span where day = ? and laboratory = ? and span = ?", spans, gone=True)
    ended = [sample[:3] for sample in counted.ended]
    write.executemany("delete from count_waiting where placed_at = ? and region = ? and source_id = ?", ended)
    write.executemany("insert or replace into count_waiting values (?, ?, ?, ?)", counted.waiting)
    write.executemany("insert or ignore into count_accused values (?, ?)", counted.positive_days)
    return True


def _put(write: sqlite3.Connection, statement: str, rows: Sequence[tuple[Any, ...]], *, gone: bool = False) -> None:
    write.executemany(statement, [row[:-1] if gone else row for row in rows if bool(row[-1]) != gone])


class SqliteFigureStore:
    """A FigureStore in the file of a SqliteStore, whose thread and connection write it."""

    def __init__(
        self, path: Path, write: sqlite3.Connection, in_writer: Callable[[Callable[[], Any]], Awaitable[Any]]
    ) -> None:
        self._path = path
        self._write = write
        self._in_writer = in_writer

    @asynccontextmanager
    async def reading(self) -> AsyncGenerator[FigureReads]:
        """See FigureStore."""
        with guarded(), closing(connect(self._path)) as connection:
            connection.execute("pragma query_only = on")
            connection.execute("begin")
            yield _SqliteFigures(connection)

    @asynccontextmanager
    async def turn(self) -> AsyncGenerator[bool]:
        """See FigureStore: one process writes the file."""
        yield True

    async def begin(self, rules: int) -> None:
        """See FigureStore."""

        def begin() -> None:
            with _transaction(self._write) as write:
                for table in ("tally", "span", "waiting", "accused"):
                    write.execute(f"delete from count_{table}")
                write.execute("update count_head set rules = ?, sequence = 0, complete = 0", (rules,))

        await self._in_writer(begin)

    async def count(self, counted: CountedChanges) -> bool:
        """See FigureStore."""

        def keep() -> bool:
            with _transaction(self._write) as write:
                return _keep(write, counted)

        return bool(await self._in_writer(keep))
