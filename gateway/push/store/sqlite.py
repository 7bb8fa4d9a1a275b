"""The store of push subscriptions in one SQLite file, for one process. All happens in one thread: no code waits."""

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from gateway.push.store.protocol import MOST_DEVICES, unavailable
from gateway.push.store.schemas import SQLITE
from gateway.push.store.values import Arrivals, Due, Subscription
from services.common.instants import Instant
from services.runtime.storage.owner import Owner
from services.runtime.storage.sqlite.file import written
from services.runtime.storage.sqlite.thread import FileThread

_NEVER = 2**62
_INSERT = f"insert into push_subscription values ({', '.join('?' * len(Subscription._fields))})"
_NOTE = """
insert into push_notice values (?, ?, ?, 0, 0, ?)
on conflict (subscription_id, kind) do update
set due_at = min(due_at, excluded.due_at), claimed_until = 0, attempts = 0, expires_at = excluded.expires_at
"""
_CLAIM = """
select subscription.*, notice.kind, notice.attempts, notice.expires_at
from push_notice as notice join push_subscription as subscription using (subscription_id)
where notice.due_at <= ?1 and notice.claimed_until <= ?1 order by notice.due_at limit ?2
"""
_OWN = "subscription_id = ? and kind = ? and claimed_until = ?"
_PEOPLE = """
select subscription_id, person_key from push_subscription where subscription_id > ? order by subscription_id limit ?
"""
_MOVE = "update push_subscription set person_key = ? where subscription_id = ?"
_TOO_MANY = f"""
delete from push_subscription where subscription_id in (
    select subscription_id from push_subscription where person_key = ?
    order by renewed_at desc, subscription_id limit -1 offset {MOST_DEVICES}
)
"""


class SqlitePushStore:
    """See PushStore. One process at a time has the file."""

    def __init__(self, path: Path, owner: Owner, *, migrates: bool = False) -> None:
        """Opens the file; `migrates` makes it, or brings it up to date. Raises Unavailable when that cannot be done,
        and SchemaError for a file that will not do."""
        self._thread = FileThread(path, SQLITE, unavailable, owner, migrates=migrates)
        self._file = self._thread.file

    async def put(self, subscription: Subscription, persons: Collection[bytes], ending: int) -> bool:
        """See PushStore."""

        def work() -> bool:
            with written(self._file):
                before = self._of_device(subscription.endpoint_digest, persons)
                kept = subscription
                if before is not None:
                    kept = kept._replace(
                        subscription_id=before.subscription_id,
                        created_at=before.created_at,
                        told_until=before.told_until,
                    )
                    self._forget(before.subscription_id)
                self._file.execute(_INSERT, kept)
                self._file.execute(_NOTE, (kept.subscription_id, ending, kept.renewed_at, _NEVER))
                self._file.execute(_TOO_MANY, (kept.person_key,))
            return before is None

        return await self._thread.run(work)

    async def delete(self, endpoint_digest: bytes, persons: Collection[bytes]) -> bool:
        """See PushStore."""

        def work() -> bool:
            with written(self._file):
                before = self._of_device(endpoint_digest, persons)
                if before is not None:
                    self._forget(before.subscription_id)
            return before is not None

        return await self._thread.run(work)

    async def drop(self, endpoint_digest: bytes) -> None:
        """See PushStore."""
        statement = "delete from push_subscription where endpoint_digest = ?"
        await self._thread.run(lambda: self._written(statement, endpoint_digest))

    async def cursor(self, feed: str) -> str:
        """See PushStore."""
        return await self._thread.run(lambda: self._cursor(feed))

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

        def work() -> bool:
            with written(self._file):
                if self._cursor(feed) != before:
                    return False
                self._file.execute("insert or replace into push_cursor values (?, ?)", (feed, after))
                for person in sorted(arrivals.changed):
                    rows = self._file.execute(
                        "select subscription_id from push_subscription where person_key = ?", (person,)
                    ).fetchall()
                    for (subscription_id,) in rows:
                        self._file.execute(_NOTE, (subscription_id, ending, now, _NEVER))
                        if person in arrivals.results:
                            self._file.execute(_NOTE, (subscription_id, result, now, ends))
            return True

        return await self._thread.run(work)

    async def claim(self, now: Instant, until: Instant, most: int) -> Sequence[Due]:
        """See PushStore."""

        def work() -> Sequence[Due]:
            with written(self._file):
                rows = self._file.execute(_CLAIM, (now, most)).fetchall()
                claimed = [_due(row, until) for row in rows]
                self._file.executemany(
                    "update push_notice set claimed_until = ? where subscription_id = ? and kind = ?",
                    [(until, one.subscription.subscription_id, one.kind) for one in claimed],
                )
            return claimed

        return await self._thread.run(work)

    async def finish(self, due: Due, told_until: Instant | None = None) -> None:
        """See PushStore."""

        def work() -> None:
            with written(self._file):
                self._file.execute(f"delete from push_notice where {_OWN}", _own(due))
                if told_until is not None:
                    self._file.execute(
                        "update push_subscription set told_until = ? where subscription_id = ?",
                        (told_until, due.subscription.subscription_id),
                    )

        await self._thread.run(work)

    async def postpone(self, due: Due, at: Instant, attempts: int) -> None:
        """See PushStore."""
        statement = f"update push_notice set due_at = ?, attempts = ?, claimed_until = 0 where {_OWN}"
        await self._thread.run(lambda: self._written(statement, at, attempts, *_own(due)))

    async def move_keys(self, after: bytes, most: int, new: Callable[[bytes], bytes]) -> bytes:
        """See PushStore. What is taken out is overwritten in the file."""
        return await self._thread.move_keys(_PEOPLE, _MOVE, after, most, new)

    async def purge(self, renewed_before: Instant) -> None:
        """See PushStore."""
        statement = "delete from push_subscription where renewed_at < ?"
        await self._thread.run(lambda: self._written(statement, renewed_before))

    async def close(self) -> None:
        """See PushStore. Waits for what is under way."""
        await self._thread.close()

    def _of_device(self, endpoint_digest: bytes, persons: Collection[bytes]) -> Subscription | None:
        rows = self._file.execute("select * from push_subscription where endpoint_digest = ?", (endpoint_digest,))
        known = [Subscription(*row) for row in rows]
        return next((one for one in known if one.person_key in persons), None)

    def _forget(self, subscription_id: bytes) -> None:
        self._file.execute("delete from push_subscription where subscription_id = ?", (subscription_id,))

    def _cursor(self, feed: str) -> str:
        row = self._file.execute("select cursor from push_cursor where feed = ?", (feed,)).fetchone()
        return str(row[0]) if row else ""

    def _written(self, statement: str, *values: object) -> None:
        with written(self._file):
            self._file.execute(statement, values)


def _due(row: Sequence[object], until: Instant) -> Due:
    of_subscription = len(Subscription._fields)
    kind, attempts, expires_at = row[of_subscription:]
    return Due(Subscription(*row[:of_subscription]), kind, attempts, expires_at, until)  # type: ignore[arg-type]  # as stored


def _own(due: Due) -> tuple[object, ...]:
    return due.subscription.subscription_id, due.kind, due.claimed_until
