"""The holder store in PostgreSQL, for any number of processes.

One command is decided and written at a time: an advisory lock, held until the commit, makes the sequence grow in the
order of commits, so a follower never sees a number before a lesser one.
"""

from collections.abc import Mapping, Sequence
from secrets import token_hex
from typing import Any

from services.common.instants import Instant
from services.lookup.domain.holders import (
    Command,
    Decision,
    HolderEvent,
    KeyAt,
    Link,
    LoggedCommand,
    Neighbourhood,
    Person,
    Switch,
    SwitchInForce,
    decide,
    people,
    people_known_at,
)
from services.lookup.domain.members import ProvenMember
from services.lookup.domain.outages import NOTE_LIFETIME, OutageNote
from services.lookup.store import rows
from services.lookup.store.owner import Owner
from services.lookup.store.postgres import key_moves as key_moves
from services.lookup.store.postgres.schema import SCHEMA
from services.lookup.store.protocol import CurrentPeople, KeysMovedError, unavailable
from services.runtime.clock import Clock
from services.runtime.storage.commit_clock import CommitClock
from services.runtime.storage.key_moves import KeyState
from services.runtime.storage.postgres.pool import Connections, Database

_LOCK = 0x686F6C646572  # "holder": the name of the lock among the database's advisory locks

_REACH = """
with recursive person (key) as (
    select unnest($1::bytea[])
    union
    select link.other_key from person join holder_link as link on link.person_key = person.key
)
"""
_EDGES = f"""{_REACH}
select link.person_key, link.other_key from person join holder_link as link on link.person_key = person.key
where link.person_key < link.other_key
"""
_SWITCHES = f"""{_REACH}
select switch.person_key, switch.region, switch.scope, switch.sequence
from person join holder_switch as switch on switch.person_key = person.key
"""
_LATEST = "select coalesce((select recorded_at from holder_log order by sequence desc limit 1), 0)"
# Those who have neither a second document nor a switch drop out before anything is walked. A CTE that is used twice is
# computed once. The instant of the last commit comes with it, of the same snapshot, even when there is nobody.
_PEOPLE = f"""
with recursive asked (key) as (
    select key from unnest($1::bytea[]) as given (key)
    where exists (select from holder_link as link where link.person_key = key)
       or exists (select from holder_switch as switch where switch.person_key = key)
), person (asked, key) as (
    select key, key from asked
    union
    select person.asked, link.other_key from person join holder_link as link on link.person_key = person.key
)
select latest.at, moved.keys, person.asked, person.key, switch.region, switch.scope, switch.sequence
from ({_LATEST}) as latest (at) cross join (select coalesce(max(moved_keys), 0) from key_move) as moved (keys)
left join person on true
left join holder_switch as switch on switch.person_key = person.key
"""
# The log is found person by person: `offset 0` keeps the planner, which takes people to have more of it than they have,
# from walking all of it.
ENTRIES = """
with recursive person (asked, at, key) as (
    select key, at, key from unnest($1::bytea[], $2::bigint[]) as given (key, at)
    union
    select person.asked, person.at, near.key from person cross join lateral (
        select other_key from holder_log
        where person_key = person.key and action = 'link' and recorded_at <= person.at
        union all
        select person_key from holder_log
        where other_key = person.key and action = 'link' and recorded_at <= person.at
    ) as near (key)
)
select person.asked, person.at, log.action, log.person_key, log.other_key, log.region, log.scope, log.cause
from person cross join lateral (
    select * from holder_log where person_key = person.key and recorded_at <= person.at offset 0
) as log order by log.sequence
"""
_NOTES = """
select given.place, note.noted_at, note.source, note.replica, note.state
from unnest($1::bigint[]) with ordinality as given (at, place) cross join lateral (
    select * from source_note
    where noted_at > given.at - $2 and noted_at <= given.at and (state <> 'missed' or noted_at = given.at)
) as note order by note.noted_at
"""
_EARLIER = "select action, person_key, other_key, region, scope, cause from holder_log where request_id = $1"
_LAST = "select coalesce(max(sequence), 0) from holder_log"
_PROVEN_MEMBERS = "select name, entry, feed_id from proven_member order by name"
_NOTE_OWNER = "insert into store_owner (secret_fingerprint, feed_id) values ($1, $2) on conflict do nothing"
_OWNER = "select secret_fingerprint, feed_id from store_owner"


class PostgresHolderStore:
    """See HolderStore. Opened at the first use, so that a service starts, unhealthy, while its database is down."""

    def __init__(
        self,
        url: str,
        owner: Owner,
        *,
        pool_size: int = 8,
        timeout: float = 2.0,
        migrates: bool = False,
    ) -> None:
        """`timeout` is what one statement or connection attempt may take, in seconds. The tables must be there, up to
        date; `migrates` makes them so. `owner` says of which mesh: a store of another is unavailable."""
        self._owner = owner
        self._connections = Connections(
            Database(
                url,
                SCHEMA,
                unavailable,
                size=pool_size,
                statement_seconds=timeout,
                migrates=migrates,
                # A commit is on the disk before it is acknowledged, whatever the database's default.
                session={"synchronous_commit": "on"},
                opened=self._own,
            )
        )
        self._connection = self._connections.one
        self._stamps = CommitClock()

    async def check_schema(self) -> None:
        """Raises SchemaError when the tables are not up to date; nothing when the database cannot be asked."""
        await self._connections.check_schema()

    async def _own(self, connection: Any) -> None:
        """Compares whose the database is, and notes it in one where that was never noted. Raises SchemaError."""
        await connection.execute(_NOTE_OWNER, self._owner.secret_fingerprint, token_hex(16))
        row = await connection.fetchrow(_OWNER)
        self._owner.require(row["secret_fingerprint"])

    async def feed_id(self) -> str:
        """See HolderStore."""
        async with self._connection() as connection:
            return str((await connection.fetchrow(_OWNER))["feed_id"])

    async def people(self, keys: Sequence[bytes]) -> CurrentPeople:
        """See HolderStore."""
        async with self._connection() as connection:
            found = await connection.fetch(_PEOPLE, keys)
        return CurrentPeople(people(row[2:] for row in found if row[2] is not None), Instant(found[0][0]), found[0][1])

    async def people_known_at(self, keys: Sequence[KeyAt]) -> dict[KeyAt, Person]:
        """See HolderStore."""
        async with self._connection() as connection:
            entries = await connection.fetch(ENTRIES, [key for key, _ in keys], [at for _, at in keys])
        return people_known_at(LoggedCommand((row[0], Instant(row[1])), rows.command(row[2:])) for row in entries)

    async def settle(self, at: Instant, now: Instant) -> None:
        """See HolderStore."""
        await self._stamps.settle(at, now)

    async def commit(self, command: Command, clock: Clock, key_version: int | None = None) -> Decision:
        """See HolderStore."""
        tokens: list[int] = []
        try:
            async with self._connection() as connection, connection.transaction():
                await connection.execute("select pg_advisory_xact_lock($1)", _LOCK)
                if key_version not in (None, (await key_moves.read_state(connection)).version):
                    raise KeysMovedError
                decision = decide(command, await self._neighbourhood(connection, command))
                if decision.changes:
                    token, stamp = self._stamps.begin(clock)
                    tokens.append(token)
                    await self._apply(connection, command, decision, stamp)
        finally:
            for token in tokens:
                self._stamps.end(token)
        return decision

    async def key_state(self) -> KeyState:
        """See KeyMoves."""
        async with self._connection() as connection:
            return await key_moves.read_state(connection)

    async def begin_key_move(self, fingerprint: bytes, version: int) -> None:
        """See KeyMoves."""
        async with self._connection() as connection, connection.transaction():
            await connection.execute("select pg_advisory_xact_lock($1)", _LOCK)
            await key_moves.begin(connection, fingerprint, version)

    async def older_people(self, version: int, most: int) -> Sequence[Sequence[bytes]]:
        """See KeyMoves."""
        async with self._connection() as connection:
            return await key_moves.older(connection, version, most)

    async def connected(self, keys: Sequence[bytes]) -> Sequence[bytes]:
        """See HolderStore."""
        async with self._connection() as connection:
            return await key_moves.connected(connection, keys)

    async def move_keys(self, moves: Mapping[bytes, bytes]) -> None:
        """See KeyMoves."""
        async with self._connection() as connection, connection.transaction():
            await connection.execute("select pg_advisory_xact_lock($1)", _LOCK)
            await key_moves.move(connection, moves)

    async def end_key_move(self, version: int) -> bool:
        """See KeyMoves."""
        async with self._connection() as connection, connection.transaction():
            await connection.execute("select pg_advisory_xact_lock($1)", _LOCK)
            return await key_moves.end(connection, version)

    async def changes(self, after: int, most: int) -> list[HolderEvent]:
        """See HolderStore."""
        query = "select sequence, affected, recorded_at from holder_log where sequence > $1 order by sequence limit $2"
        async with self._connection() as connection:
            return [
                HolderEvent(sequence, tuple(affected), Instant(recorded_at))
                for sequence, affected, recorded_at in await connection.fetch(query, after, most)
            ]

    async def last(self) -> int:
        """See HolderStore."""
        async with self._connection() as connection:
            return int(await connection.fetchval(_LAST))

    async def note(self, notes: Sequence[OutageNote]) -> None:
        """See HolderStore."""
        async with self._connection() as connection:
            await connection.executemany(
                "insert into source_note values ($1, $2, $3, $4) on conflict do nothing", notes
            )

    async def notes_at(self, instants: Sequence[Instant]) -> list[list[OutageNote]]:
        """See HolderStore."""
        notes: list[list[OutageNote]] = [[] for _ in instants]
        async with self._connection() as connection:
            for place, *note in await connection.fetch(_NOTES, instants, NOTE_LIFETIME):
                notes[place - 1].append(rows.note(note))
        return notes

    async def proven_members(self) -> list[ProvenMember]:
        """See HolderStore."""
        async with self._connection() as connection:
            return [ProvenMember(*row) for row in await connection.fetch(_PROVEN_MEMBERS)]

    async def prove_members(self, members: Sequence[ProvenMember]) -> None:
        """See HolderStore."""
        async with self._connection() as connection, connection.transaction():
            # Two replicas that prove theirs at once do so one after the other.
            await connection.execute("select pg_advisory_xact_lock($1)", _LOCK)
            await connection.execute("delete from proven_member")
            await connection.executemany("insert into proven_member values ($1, $2, $3)", members)

    async def ping(self) -> None:
        """See HolderStore."""
        await self.last()

    async def close(self) -> None:
        """See HolderStore."""
        await self._connections.close()

    async def _neighbourhood(self, connection: Any, command: Command) -> Neighbourhood:
        seeds = [command.person] if isinstance(command, Switch) else [command.person, command.other]
        earlier = None
        if command.request_id:
            row = await connection.fetchrow(_EARLIER, command.request_id)
            earlier = row and rows.command(row, command.request_id)
        return Neighbourhood(
            frozenset((one, other) for one, other in await connection.fetch(_EDGES, seeds)),
            [SwitchInForce(*row) for row in await connection.fetch(_SWITCHES, seeds)],
            earlier,
        )

    async def _apply(self, connection: Any, command: Command, decision: Decision, stamp: Instant) -> None:
        sequence = await connection.fetchval(
            f"insert into holder_log values (({_LAST}) + 1, $1, $2, $3, $4, $5, $6, $7, $8, "
            f"greatest($9, ({_LATEST}) + 1)) returning sequence",
            *rows.columns(command),
            command.request_id,
            decision.affected,
            stamp,
        )
        if isinstance(command, Switch):
            await connection.execute(
                "insert into holder_switch values ($1, $2, $3, $4) on conflict (person_key, region) "
                "do update set scope = excluded.scope, sequence = excluded.sequence",
                command.person,
                command.region,
                command.scope,
                sequence,
            )
            return
        both = [(command.person, command.other), (command.other, command.person)]
        if isinstance(command, Link):
            await connection.executemany("insert into holder_link values ($1, $2)", both)
        else:
            await connection.executemany("delete from holder_link where person_key = $1 and other_key = $2", both)
