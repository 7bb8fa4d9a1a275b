"""The store of supervision in one SQLite file, for one process. All happens in one thread: no code waits."""

from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from gateway.supervision.store.protocol import unavailable
from gateway.supervision.store.schemas import SQLITE
from gateway.supervision.store.values import Cell, KeptRefusal, Mark, Place
from services.common.instants import Instant
from services.runtime.storage.owner import Owner
from services.runtime.storage.sqlite.thread import FileThread

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
_MOVE = "update supervision_refusal set person_key = ? where refusal_id = ?"
_REFUSALS = """
select * from supervision_refusal
where day between :first and :last and (:region = '' or region = :region)
  and (first_shown_at, refusal_id) < (:shown, :refusal_id)
order by first_shown_at desc, refusal_id desc limit :most
"""


class SqliteSupervisionStore:
    """See SupervisionStore. One process at a time has the file."""

    def __init__(self, path: Path, owner: Owner, *, migrates: bool = False) -> None:
        """Opens the file; `migrates` makes it, or brings it up to date. Raises Unavailable when that cannot be done,
        and SchemaError for a file that will not do."""
        self._thread = FileThread(path, SQLITE, unavailable, owner, migrates=migrates)
        self._file = self._thread.file

    async def add(self, marks: Sequence[Mark], refusals: Sequence[KeptRefusal]) -> None:
        """See SupervisionStore."""
        await self._thread.run(lambda: self._add(marks, refusals))

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
        return await self._thread.run(lambda: [Cell(*row) for row in self._file.execute(_FIGURES, asked)])

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
        return await self._thread.run(lambda: [KeptRefusal(*row) for row in self._file.execute(_REFUSALS, asked)])

    async def refusal(self, refusal_id: bytes) -> KeptRefusal | None:
        """See SupervisionStore."""
        query = "select * from supervision_refusal where refusal_id = ?"
        rows = await self._thread.run(lambda: list(self._file.execute(query, (refusal_id,))))
        return KeptRefusal(*rows[0]) if rows else None

    async def move_keys(self, after: bytes, most: int, new: Callable[[bytes], bytes]) -> bytes:
        """See SupervisionStore. What is taken out is overwritten in the file."""
        return await self._thread.move_keys(_PEOPLE, _MOVE, after, most, new)

    async def purge(self, marks_before: int, refusals_before: int) -> None:
        """See SupervisionStore."""

        def work() -> None:
            self._file.execute("delete from supervision_mark where until < ?", (marks_before,))
            self._file.execute("delete from supervision_refusal where day < ?", (refusals_before,))

        await self._thread.run(work)

    async def close(self) -> None:
        """See SupervisionStore. Waits for what is under way."""
        await self._thread.close()

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
