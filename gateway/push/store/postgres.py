"""The store of push subscriptions in PostgreSQL, for any number of gateways."""

from collections.abc import Callable, Collection, Sequence

import asyncpg

from gateway.push.store.protocol import MOST_DEVICES, unavailable
from gateway.push.store.schemas import POSTGRES
from gateway.push.store.values import Arrivals, Due, Subscription
from services.common.instants import Instant
from services.runtime.storage.owner import Owner
from services.runtime.storage.postgres.owner import move_keys, owner_connections

_NEVER = 2**62
_INSERT = f"""
insert into push_subscription values ({", ".join(f"${at + 1}" for at in range(len(Subscription._fields)))})
"""
_OF_DEVICE = """
select * from push_subscription where endpoint_digest = $1 and person_key = any($2::bytea[]) limit 1 for update
"""
_NOTED = """
on conflict (subscription_id, kind) do update set due_at = least(push_notice.due_at, excluded.due_at),
    claimed_until = 0, attempts = 0, expires_at = excluded.expires_at
"""
_NOTE = f"insert into push_notice values ($1, $2, $3, 0, 0, $4) {_NOTED}"
# In the order of their ids, so that two gateways that note the same wait for each other and do not lock.
_NOTE_ALL = f"""
insert into push_notice
select subscription_id, $2::integer, $3::bigint, 0, 0, $4::bigint from push_subscription
where person_key = any($1::bytea[]) order by subscription_id {_NOTED}
"""
_TAKE_CURSOR = """
insert into push_cursor values ($1, $3) on conflict (feed) do update set cursor = excluded.cursor
where push_cursor.cursor = $2
"""
_CLAIM = """
with due as (
    select subscription_id, kind from push_notice where due_at <= $1 and claimed_until <= $1
    order by due_at limit $3 for update skip locked
), claimed as (
    update push_notice as notice set claimed_until = $2 from due
    where notice.subscription_id = due.subscription_id and notice.kind = due.kind
    returning notice.subscription_id, notice.kind, notice.attempts, notice.expires_at
)
select subscription.*, claimed.kind, claimed.attempts, claimed.expires_at
from claimed join push_subscription as subscription using (subscription_id)
"""
_OWN = "subscription_id = $1 and kind = $2 and claimed_until = $3"
_PEOPLE = """
select subscription_id, person_key from push_subscription
where subscription_id > $1 order by subscription_id limit $2 for update
"""
_MOVE = "update push_subscription set person_key = $1 where subscription_id = $2"
_TOO_MANY = f"""
delete from push_subscription where subscription_id in (
    select subscription_id from push_subscription where person_key = $1
    order by renewed_at desc, subscription_id offset {MOST_DEVICES}
)
"""


class PostgresPushStore:
    """See PushStore. Opened at the first use."""

    def __init__(self, url: str, owner: Owner, *, migrates: bool = False) -> None:
        """The tables must be there, up to date; `migrates` makes them so."""
        self._connections = owner_connections(url, POSTGRES, unavailable, owner, migrates=migrates)

    async def put(self, subscription: Subscription, persons: Collection[bytes], ending: int) -> bool:
        """See PushStore."""

        async def work(connection: asyncpg.Connection) -> bool:
            async with connection.transaction():
                # Of one device, one after the other.
                lock = int.from_bytes(subscription.endpoint_digest[:8], signed=True)
                await connection.execute("select pg_advisory_xact_lock($1)", lock)
                row = await connection.fetchrow(_OF_DEVICE, subscription.endpoint_digest, list(persons))
                kept = subscription
                if row is not None:
                    before = Subscription(*row)
                    kept = kept._replace(
                        subscription_id=before.subscription_id,
                        created_at=before.created_at,
                        told_until=before.told_until,
                    )
                    await self._forget(connection, before.subscription_id)
                await connection.execute(_INSERT, *kept)
                await connection.execute(_NOTE, kept.subscription_id, ending, kept.renewed_at, _NEVER)
                await connection.execute(_TOO_MANY, kept.person_key)
            return row is None

        return await self._connections.run(work)

    async def delete(self, endpoint_digest: bytes, persons: Collection[bytes]) -> bool:
        """See PushStore."""

        async def work(connection: asyncpg.Connection) -> bool:
            async with connection.transaction():
                row = await connection.fetchrow(_OF_DEVICE, endpoint_digest, list(persons))
                if row is not None:
                    await self._forget(connection, row[0])
            return row is not None

        return await self._connections.run(work)

    async def drop(self, endpoint_digest: bytes) -> None:
        """See PushStore."""
        await self._execute("delete from push_subscription where endpoint_digest = $1", endpoint_digest)

    async def cursor(self, feed: str) -> str:
        """See PushStore."""

        async def work(connection: asyncpg.Connection) -> str:
            return await connection.fetchval("select cursor from push_cursor where feed = $1", feed) or ""

        return await self._connections.run(work)

    async def take(
        self,
        feed: str,
        before: str,
        after: str,
        arrivals: Arrivals,
        kinds: tuple[int, int],
        now: Instant,
        ends: Instant,
    ) -> bool:
        """See PushStore."""
        result, ending = kinds

        async def work(connection: asyncpg.Connection) -> bool:
            async with connection.transaction():
                moved = await connection.execute(_TAKE_CURSOR, feed, before, after)
                if not moved.endswith(" 1"):
                    return False
                if arrivals.changed:
                    await connection.execute(_NOTE_ALL, list(arrivals.changed), ending, now, _NEVER)
                if arrivals.results:
                    await connection.execute(_NOTE_ALL, list(arrivals.results), result, now, ends)
            return True

        return await self._connections.run(work)

    async def claim(self, now: Instant, until: Instant, most: int) -> Sequence[Due]:
        """See PushStore."""

        async def work(connection: asyncpg.Connection) -> Sequence[Due]:
            of_subscription = len(Subscription._fields)
            return [
                Due(Subscription(*tuple(row)[:of_subscription]), row["kind"], row["attempts"], row["expires_at"], until)
                for row in await connection.fetch(_CLAIM, now, until, most)
            ]

        return await self._connections.run(work)

    async def finish(self, due: Due, told_until: Instant | None = None) -> None:
        """See PushStore."""

        async def work(connection: asyncpg.Connection) -> None:
            async with connection.transaction():
                await connection.execute(f"delete from push_notice where {_OWN}", *_own(due))
                if told_until is not None:
                    await connection.execute(
                        "update push_subscription set told_until = $2 where subscription_id = $1",
                        due.subscription.subscription_id,
                        told_until,
                    )

        await self._connections.run(work)

    async def postpone(self, due: Due, at: Instant, attempts: int) -> None:
        """See PushStore."""
        statement = f"update push_notice set due_at = $4, attempts = $5, claimed_until = 0 where {_OWN}"
        await self._execute(statement, *_own(due), at, attempts)

    async def move_keys(self, after: bytes, most: int, new: Callable[[bytes], bytes]) -> bytes:
        """See PushStore."""
        return await move_keys(self._connections, _PEOPLE, _MOVE, after, most, new)

    async def purge(self, renewed_before: Instant) -> None:
        """See PushStore."""
        await self._execute("delete from push_subscription where renewed_at < $1", renewed_before)

    async def close(self) -> None:
        """See PushStore."""
        await self._connections.close()

    async def _execute(self, statement: str, *values: object) -> None:
        async def work(connection: asyncpg.Connection) -> None:
            await connection.execute(statement, *values)

        await self._connections.run(work)

    async def _forget(self, connection: asyncpg.Connection, subscription_id: bytes) -> None:
        await connection.execute("delete from push_subscription where subscription_id = $1", subscription_id)


def _own(due: Due) -> tuple[object, ...]:
    return due.subscription.subscription_id, due.kind, due.claimed_until
