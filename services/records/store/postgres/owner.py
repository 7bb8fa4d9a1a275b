"""The owner of a PostgreSQL database of records."""

import asyncpg

from services.records.store.owner import Owner
from services.runtime.storage.schema import SchemaError

_OWNER = "select region, secret_fingerprint from store_owner"


async def require_owner(connection: asyncpg.Connection, owner: Owner) -> None:
    """Compares whose a replica is, where nothing can be noted. Raises SchemaError for another owner's, and for one that
    has not heard yet whose it is."""
    row = await connection.fetchrow(_OWNER)
    if row is None:
        raise SchemaError("备库尚未注明是谁的库 / it is not noted yet whose store this replica is of")
    owner.require(Owner(row["region"], row["secret_fingerprint"]))


async def own(connection: asyncpg.Connection, owner: Owner) -> None:
    """Compares whose a store is, and notes it in one where that was never noted.

    Raises SchemaError for another owner's.
    """
    row = await connection.fetchrow(_OWNER)
    if row is None:
        other = await connection.fetchval("select region from identity where region <> $1 limit 1", owner.region)
        owner.require_records_of(other)
        await connection.execute(
            "insert into store_owner (region, secret_fingerprint) values ($1, $2) on conflict do nothing", *owner[:2]
        )
        # Another process may have been first.
        row = await connection.fetchrow(_OWNER)
    owner.require(Owner(row["region"], row["secret_fingerprint"]))
