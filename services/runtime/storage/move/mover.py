"""A move: everything of one store is carried into another, while the old one is read and written.

1. The old store notes which rows change; the new one is marked as incomplete.
2. Table by table, rows are copied in the order of their keys. How far that came is noted with the rows.
3. What changed meanwhile is carried over, again and again, until it is little, or grows less no more.
4. Every row is compared. One that differs is only in order while a change of it waits to be carried over.
5. The old store is closed to writes. The last changes are carried over; whatever was seen to change since its
   comparison is compared again, and the rows of every table are counted. In a store that is not large, or when told to,
   all rows are compared once more.
6. The old store is put out of use, then the new one is opened: at no instant do both answer.

A move that was killed anywhere goes on when it is run again. Until 6, `abandon` leaves the old store as it was.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import uuid4

from services.runtime.storage.move.places import Place, Position, Source, Target
from services.runtime.storage.move.state import Note, State
from services.runtime.storage.move.tables import DIGESTS, Key, Row, Table, digest
from services.runtime.storage.schema import SchemaError

PAGE = 2_000
"""Rows that are carried at once."""
LITTLE = 500
"""With so few changes in a round, the old store is closed to writes: they are carried over in a moment."""
CONVERGING = 0.7
"""A round with more than this share of the changes of the one before gains nothing: writers are as fast."""
WHOLE_ROWS = 200_000
"""A store of no more rows is compared whole once more while it is closed: seconds."""

OWNER_TABLES = frozenset(("store_owner", "supervision_owner"))
"""The tables that say whose a store is: they may be filled where the store moves to."""

Tell = Callable[[str], None]
"""Says how far it is."""


class MoveError(Exception):
    """The move cannot go on; the message says why, and what stands."""


@dataclass(frozen=True, slots=True)
class TableResult:
    """The result for one table: rows in both stores and, where all were compared once more, their digest."""

    table: str
    rows: int
    digest: str = ""


class Move:
    """The move of one store."""

    def __init__(self, source: Source, target: Target, tables: Sequence[Table], tell: Tell) -> None:
        self._source = source
        self._target = target
        self._tables = tables
        self._tell = tell
        # By table: what changed after its comparison, and is compared again when nothing changes any more.
        self._again: dict[str, set[Key]] = {table.name: set() for table in tables}

    async def copy(self) -> None:
        """Begins the move, or goes on with it, to where the new store has almost all that the old one has (1 to 4).

        Raises SchemaError for stores that cannot be moved from or to, MoveError when rows differ that did not change.
        """
        note = await self._begin()
        if note.state is State.LEAVING:
            await self._copy_tables()
            await self._catch_up()
            await self._compare_all()

    async def switch(self, *, whole: bool = False) -> Sequence[TableResult]:
        """Ends the move (5 and 6) and returns what was compared. Raises MoveError when the stores differ: the old one
        is then still closed to writes."""
        note = await self._source.note()
        if note is None:
            raise SchemaError("没有进行中的迁移 / there is no move under way")
        results: Sequence[TableResult] = ()
        if note.state is State.LEAVING:
            self._tell("旧库暂停写入 / the old store is closed to writes")
            note = note._replace(state=State.CLOSED)
            await self._source.close_writes(self._tables, note)
        else:
            # What was compared before this process began is not known.
            whole = True
        if note.state is State.CLOSED:
            while await self._round():
                pass
            results = await self._compare_last(whole=whole)
            await self._source.retire(self._tables, note._replace(state=State.MOVED))
            self._tell("旧库已停用 / the old store is out of use")
        await self._target.open(self._tables)
        return results

    async def abandon(self) -> None:
        """Gives the move up: the old store is as it was, and what was copied is the operator's to delete. Raises
        SchemaError when the old store is out of use already."""
        note = await self._source.note()
        if note is not None and note.state not in (State.LEAVING, State.CLOSED):
            raise SchemaError("旧库已停用，不能放弃 / the old store is out of use already: nothing to abandon")
        await self._source.stay(self._tables)

    async def _begin(self) -> Note:
        source, target = await self._source.note(), await self._target.note()
        if source is not None and source.state is State.ARRIVING:
            raise SchemaError("源库自身的迁入尚未完成 / the store to move from is itself not complete")
        if source is not None and target is not None and source.move_id == target.move_id:
            return source
        if source is not None and source.state is State.MOVED:
            raise SchemaError(f"这个库已迁至 {source.other} / this store was moved to {source.other} already")
        if source is not None:
            raise SchemaError(
                f"这个库正迁往 {source.other}：以它为目标继续，或先放弃（--abandon） / this store is being moved to "
                f"{source.other}: go on with that target, or abandon the move first (--abandon)"
            )
        await self._source.check()
        if target is None:
            await self._target.make()
            await self._target.check()
            await self._require_empty()
            target = Note(str(uuid4()), State.ARRIVING, self._source.name)
            await self._target.arrive(self._tables, target)
        elif target.state is not State.ARRIVING or await self._has_progress():
            raise SchemaError(
                "目标库属于另一次迁移 / the store to move to holds part of another move: use an empty one"
            )
        note = Note(target.move_id, State.LEAVING, self._target.name)
        await self._source.leave(self._tables, note)
        return note

    async def _require_empty(self) -> None:
        for table in self._tables:
            rows = await self._target.page(table, None, 2)
            if table.name in OWNER_TABLES:
                if rows and list(rows) != list(await self._source.page(table, None, 2)):
                    raise SchemaError(
                        "目标库属于另一地区或另一密钥 / the store to move to is another region's or secret's"
                    )
            # A store is made with a row of its own in some tables, which stand at number 0.
            elif rows and (len(rows) > 1 or not _is_initial(table, rows[0])):
                raise SchemaError(
                    f"目标库不是空的（{table.name}） / "
                    f"the store to move to is not empty ({table.name}): use an empty one"
                )

    async def _has_progress(self) -> bool:
        return any([await self._target.position(table) != Position() for table in self._tables])

    async def _copy_tables(self) -> None:
        for table in self._tables:
            position, copied = await self._target.position(table), 0
            while not position.copied:
                rows = await self._source.page(table, position.after, PAGE)
                after = table.key_of(rows[-1]) if rows else position.after
                position = Position(after, len(rows) < PAGE)
                await self._target.add(table, rows, position)
                copied += len(rows)
            self._tell(f"{table.name}: {copied} 行已复制 / {copied} rows copied")

    async def _catch_up(self) -> None:
        before = float("inf")
        while True:
            carried = await self._round()
            self._tell(f"{carried} 处变更已补 / {carried} changes carried over")
            if carried < LITTLE or carried > before * CONVERGING:
                return
            before = carried

    async def _round(self) -> int:
        """Carries over what changed until now; returns how many rows that were."""
        carried = 0
        for table in self._tables:
            for _ in range(0, await self._source.waiting(table), PAGE):
                changes = await self._source.changes(table, PAGE)
                # Read after the notes: each row is at least as new as what they are about.
                await self._target.replace(table, changes.keys, await self._source.rows(table, changes.keys))
                await self._source.carried(table, changes.numbers)
                self._again[table.name].update(changes.keys)
                carried += len(changes.keys)
        return carried

    async def _compare_all(self) -> None:
        for table in self._tables:
            self._again[table.name].clear()
            after: Key | None = None
            differing: set[Key] = set()
            while rows := await self._source.page(table, after, PAGE):
                after = table.key_of(rows[-1])
                differing.update(await self._differing(table, rows))
                if len(rows) < PAGE:
                    # What is added from here on is noted.
                    break
            # What differs has changed since it was carried over, so it will be once more, and is compared then.
            self._again[table.name].update(differing)
        await self._catch_up()

    async def _differing(self, table: Table, rows: Sequence[Row]) -> set[Key]:
        there = set(await self._target.rows(table, [table.key_of(row) for row in rows]))
        return {table.key_of(row) for row in rows if row not in there}

    async def _compare_last(self, *, whole: bool) -> Sequence[TableResult]:
        counts = {table.name: await self._source.count(table) for table in self._tables}
        whole = whole or sum(counts.values()) <= WHOLE_ROWS
        results = []
        for table in self._tables:
            counted = await self._target.count(table)
            if counted != counts[table.name]:
                raise self._differs(table, f"{counts[table.name]} ≠ {counted}")
            keys = sorted(self._again[table.name], key=repr)
            for start in range(0, len(keys), PAGE):
                some = keys[start : start + PAGE]
                if set(await self._source.rows(table, some)) != set(await self._target.rows(table, some)):
                    raise self._differs(table, f"{len(keys)} 行 / rows")
            text = ""
            if whole:
                digests = [await _digest(place, table) for place in (self._source, self._target)]
                text = digests[0]
                if digests[1] != text:
                    raise self._differs(table, f"{digests[0]} ≠ {digests[1]}")
            results.append(TableResult(table.name, counted, text))
        return results

    def _differs(self, table: Table, what: str) -> MoveError:
        return MoveError(
            f"{table.name} 两库不一致（{what}）；旧库仍暂停写入，可放弃（--abandon） / "
            f"the stores differ in {table.name} ({what}); the old one is still closed to writes: abandon the move "
            "(--abandon)"
        )


async def _digest(place: Place, table: Table) -> str:
    total, after = 0, None
    while rows := await place.page(table, after, PAGE):
        after = table.key_of(rows[-1])
        total += sum(map(digest, rows))
    return f"{total % DIGESTS:064x}"


def _is_initial(table: Table, row: Row) -> bool:
    values = dict(zip(table.columns, row, strict=True))
    return table.key == ["only_row"] and not values.get("sequence", 1)
