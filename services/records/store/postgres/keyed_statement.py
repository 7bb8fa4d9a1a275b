"""Statements about the rows of several keys, each of which one partition has.

On one node a single statement about all of them costs least. On a cluster it asks every shard, whichever has them: some
80 ms, where a statement about one key goes to one shard and takes less than one.
"""

from collections.abc import Sequence
from typing import NamedTuple

import asyncpg

FEW = 32
"""On a cluster, up to so many keys are asked about by a statement each, sent together."""


class KeyedStatement(NamedTuple):
    """A statement about many keys, given as an array for each of a key's columns, and the same about one, given as its
    columns. Further parameters follow those of the keys."""

    together: str
    apart: str

    async def fetch(
        self, connection: asyncpg.Connection, keys: Sequence[Sequence[object]], *others: object, distributed: bool
    ) -> list[asyncpg.Record]:
        """Returns the rows of these keys, in their order as far as the statement about many has one. `distributed`: the
        database is a cluster's."""
        if not keys:
            return []
        if distributed and len(keys) <= FEW:
            return list(await connection.fetchmany(self.apart, [(*key, *others) for key in keys]))
        return list(await connection.fetch(self.together, *map(list, zip(*keys, strict=True)), *others))


HOLDERS = KeyedStatement(
    # What is ordered is asked once for each, of its one partition: joined as a whole, all partitions of tables that are
    # small when this is first planned would be read, and for as long as the plan lasts.
    """
select i.region, i.source_id, i.person_key
from unnest($1::text[], $2::text[]) as touched(region, source_id)
cross join lateral (
    select * from identity where region = touched.region and source_id = touched.source_id
    order by region, source_id
) as i
""",
    "select region, source_id, person_key from identity where region = $1 and source_id = $2",
)
"""Whose records of these ids are: rows of region, source_id, person_key."""
