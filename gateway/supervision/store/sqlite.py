"""The store of supervision in one SQLite file, for one process. All happens in one thread: no code waits."""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from gateway.supervision.store.owner import require_secret
from gateway.supervision.store.protocol import unavailable
from gateway.supervision.store.schemas import SQLITE
from gateway.supervision.store.values import Cell, KeptRefusal, Mark, Place
from services.common.instants import Instant
from services.runtime.storage.sqlite.file import guard, open_alone, written

T = TypeVar("T")

_COUNT = """
insert into supervision_figure values (?, ?, ?, ?, 1)
on conflict (day, region, scene, measure) do update set count = count + 1
"""
_FIGURES = """
select figure.day, figure.region, figure.scene, figure.measure, figure.count from (
    select distinct day, region, scene from supervision_figure
    where day between :first and :last and (:region = '' or region = :region)
      and (day, region, scene) > (:day, :after, :scene)
    order by day, region, scene limit :most
) as place join supervision_figure as figure using (day, region, scene)
order by figure.day, figure.region, figure.scene, figure.measure
"""
_PEOPLE = "select refusal_id, person_key from supervision_refusal where refusal_id > ? order by refusal_id limit ?"
_REFUSALS = """
select * from supervision_refusal
where day between :first and :last and (:region = '' or region = :region)
  and (first_shown_at, refusal_id) < (:shown, :refusal_id)
order by first_shown_at desc, refusal_id desc limit :most
"""


class SqliteSupervisionStore:
    """See SupervisionStore. One process at a time has the file."""

    def __init__(self, path: Path, secret_fingerprint: bytes, *, migrates: bool = False) -> None:
        """Opens the file; `migrates` makes it, or brings it up to date. Raises Unavailable when that cannot be done,
        and SchemaError for a file that will not do."""
        with guard(unavailable):
            self._file, self._lock = open_alone(path, SQLITE, migrates=migrates)
            try:
                self._file.execute("insert or ignore into supervision_owner values (1, ?)", (secret_fingerprint,))
                ((noted,),) = self._file.execute("select secret_fingerprint from supervision_owner")
                require_secret(noted, secret_fingerprint)
            except BaseException:
                self._file.close()
                self._lock.release()
                raise
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="supervision-store")
        self._closed = False

    async def add(self, marks: Sequence[Mark], refusals: Sequence[KeptRefusal]) -> None:
        """See SupervisionStore."""
        await self._in_thread(lambda: self._add(marks, refusals))

    async def figures(self, region: str, first: int, last: int, after: Place, most: int) -> Sequence[Cell]:
        """See SupervisionStore."""
        asked = {
            "region": region,
            "first": first,
            "last": last,
            "day": after.day,
            "after": after.region,
            "scene": after.scene,
            "most": most,
        }
        return await self._in_thread(lambda: [Cell(*row) for row in self._file.execute(_FIGURES, asked)])

    async def refusals(
        self, region: str, first: int, last: int, before: tuple[Instant, bytes], most: int
    ) -> Sequence[KeptRefusal]:
        """See SupervisionStore."""
        asked = {
            "region": region,
            "first": first,
            "last": last,
            "shown": before[0],
            "refusal_id": before[1],
            "most": most,
        }
        return await self._in_thread(lambda: [KeptRefusal(*row) for row in self._file.execute(_REFUSALS, asked)])

    async def refusal(self, refusal_id: bytes) -> KeptRefusal | None:
        """See SupervisionStore."""
        query = "select * from supervision_refusal where refusal_id = ?"
        rows = await self._in_thread(lambda: list(self._file.execute(query, (refusal_id,))))
        return KeptRefusal(*rows[0]) if rows else None

    async def move_keys(self, after: bytes, most: int, new: Callable[[bytes], bytes]) -> bytes:
        """See SupervisionStore. What is taken out is overwritten in the file."""

        def work() -> bytes:
            rows = self._file.execute(_PEOPLE, (after, most)).fetchall()
            moves = [(new(old), refusal_id) for refusal_id, old in rows if new(old) != old]
            if moves:
                self._file.execute("pragma secure_delete = on")
                with written(self._file):
                    self._file.executemany("update supervision_refusal set person_key = ? where refusal_id = ?", moves)
            elif not rows:
                # The log has old keys until it is written back.
                self._file.execute("pragma wal_checkpoint(truncate)")
            return bytes(rows[-1][0]) if rows else b""

        return await self._in_thread(work)

    async def purge(self, marks_before: int, refusals_before: int) -> None:
        """See SupervisionStore."""

        def work() -> None:
            self._file.execute("delete from supervision_mark where until < ?", (marks_before,))
            self._file.execute("delete from supervision_refusal where day < ?", (refusals_before,))

        await self._in_thread(work)

    async def close(self) -> None:
        """See SupervisionStore. Waits for what is under way."""
        if self._closed:
            return
        self._closed = True
        await asyncio.get_running_loop().run_in_executor(None, self._thread.shutdown)
        self._file.close()
        self._lock.release()

    def _add(self, marks: Sequence[Mark], refusals: Sequence[KeptRefusal]) -> None:
        self._file.execute("begin immediate")
        try:
            with closing(self._file.cursor()) as cursor:
                for one in marks:
                    cursor.execute("insert or ignore into supervision_mark values (?, ?)", (one.mark, one.until))
                    if cursor.rowcount:
                        cursor.execute(_COUNT, (one.day, one.region, one.scene, one.measure))
                cursor.executemany(
                    f"insert or ignore into supervision_refusal values ({', '.join('?' * len(KeptRefusal._fields))})",
                    refusals,
                )
            self._file.execute("commit")
        except BaseException:
            if self._file.in_transaction:
                self._file.execute("rollback")
            raise

    async def _in_thread(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except (sqlite3.Error, RuntimeError) as error:
            # RuntimeError is the executor's word for being closed.
            raise unavailable(error) from None
