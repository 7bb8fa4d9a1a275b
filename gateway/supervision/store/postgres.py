"""The store of supervision in PostgreSQL, for any number of gateways."""

from collections.abc import Callable, Sequence

import asyncpg

from gateway.supervision.store.protocol import unavailable
from gateway.supervision.store.schemas import POSTGRES
from gateway.supervision.store.values import Cell, KeptRefusal, Mark, Place
from services.common.instants import Instant
from services.runtime.storage.owner import Owner
from services.runtime.storage.postgres.owner import move_keys, owner_connections

# In the order of the marks, so that two gateways that count the same people wait for each other and do not lock.
_ADD_MARKS = """
with given as (
    select * from unnest($1::bytea[], $2::int[], $3::int[], $4::text[], $5::int[], $6::int[])
        as mark (mark, until, day, region, scene, measure)
), new as (
    insert into supervision_mark select mark, until from given order by mark on conflict do nothing returning mark
)
insert into supervision_figure
select day, region, scene, measure, count(*) from given join new using (mark)
group by day, region, scene, measure order by day, region, scene, measure
on conflict (day, region, scene, measure) do update set count = supervision_figure.count + excluded.count
"""
_ADD_REFUSALS = f"""
insert into supervision_refusal values ({", ".join(f"${at + 1}" for at in range(len(KeptRefusal._fields)))})
on conflict do nothing
"""
_FIGURES = """
select figure.day, figure.region, figure.scene, figure.measure, figure.count from (
    select distinct day, region, scene from supervision_figure
    where day between $1 and $2 and ($3 = '' or region = $3) and (day, region, scene) > ($4, $5, $6)
    order by day, region, scene limit $7
) as place join supervision_figure as figure using (day, region, scene)
order by figure.day, figure.region, figure.scene, figure.measure
"""
# Locked by id, so that two gateways that move the same wait for each other.
_PEOPLE = """
select refusal_id, person_key from supervision_refusal where refusal_id > $1 order by refusal_id limit $2 for update
"""
_MOVE = "update supervision_refusal set person_key = $1 where refusal_id = $2"
_REFUSALS = """
select * from supervision_refusal
where day between $1 and $2 and ($3 = '' or region = $3) and (first_shown_at, refusal_id) < ($4, $5)
order by first_shown_at desc, refusal_id desc limit $6
"""


class PostgresSupervisionStore:
    """See SupervisionStore. Opened at the first use."""

    def __init__(self, url: str, owner: Owner, *, migrates: bool = False) -> None:
        """The tables must be there, up to date; `migrates` makes them so."""
        self._connections = owner_connections(url, POSTGRES, unavailable, owner, migrates=migrates)

    async def add(self, marks: Sequence[Mark], refusals: Sequence[KeptRefusal]) -> None:
        """See SupervisionStore."""
        # One statement must not meet a mark twice.
        distinct = list({one.mark: one for one in marks}.values())
        ordered = sorted(refusals, key=lambda one: one.refusal_id)

        async def work(connection: asyncpg.Connection) -> None:
            async with connection.transaction():
                if distinct:
                    await connection.execute(_ADD_MARKS, *map(list, zip(*distinct, strict=True)))
                if ordered:
                    await connection.executemany(_ADD_REFUSALS, ordered)

        await self._connections.run(work)

    async def figures(self, region: str, first: int, last: int, after: Place, most: int) -> Sequence[Cell]:
        """See SupervisionStore."""

        async def work(connection: asyncpg.Connection) -> Sequence[Cell]:
            return [Cell(*row) for row in await connection.fetch(_FIGURES, first, last, region, *after, most)]

        return await self._connections.run(work)

    async def refusals(
        self, region: str, first: int, last: int, before: tuple[Instant, bytes], most: int
    ) -> Sequence[KeptRefusal]:
        """See SupervisionStore."""

        async def work(connection: asyncpg.Connection) -> Sequence[KeptRefusal]:
            return [KeptRefusal(*row) for row in await connection.fetch(_REFUSALS, first, last, region, *before, most)]

        return await self._connections.run(work)

    async def refusal(self, refusal_id: bytes) -> KeptRefusal | None:
        """See SupervisionStore."""

        async def work(connection: asyncpg.Connection) -> KeptRefusal | None:
            query = "select * from supervision_refusal where refusal_id = $1"
            row = await connection.fetchrow(query, refusal_id)
            return KeptRefusal(*row) if row else None

        return await self._connections.run(work)

    async def move_keys(self, after: bytes, most: int, new: Callable[[bytes], bytes]) -> bytes:
        """See SupervisionStore."""
        return await move_keys(self._connections, _PEOPLE, _MOVE, after, most, new)

    async def purge(self, marks_before: int, refusals_before: int) -> None:
        """See SupervisionStore."""

        async def work(connection: asyncpg.Connection) -> None:
            await connection.execute("delete from supervision_mark where until < $1", marks_before)
            await connection.execute("delete from supervision_refusal where day < $1", refusals_before)

        await self._connections.run(work)

    async def close(self) -> None:
        """See SupervisionStore."""
        await self._connections.close()
