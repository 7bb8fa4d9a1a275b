"""A holder store that gives and takes this process's own keys, whichever version a person stands under in it.

While keys are moved, a person is asked for under every version that is known, in one question; what was read while some
were moved is read again. Whom a command is about is moved first.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

from services.common.errors import Unavailable
from services.common.instants import Instant
from services.lookup.domain.holders import Command, Decision, HolderEvent, KeyAt, Person, Switch
from services.lookup.domain.members import ProvenMember
from services.lookup.domain.outages import OutageNote
from services.lookup.store.protocol import CurrentPeople, HolderStore, KeysMovedError, unavailable
from services.runtime.clock import Clock
from services.runtime.storage.key_moves import KeyState, KeyVersions

ATTEMPTS = 50
"""How often something is read again because keys were moved meanwhile."""


class KeyedHolderStore:
    """See HolderStore."""

    def __init__(self, store: HolderStore, versions: KeyVersions) -> None:
        self._store = store
        self._versions = versions

    async def feed_id(self) -> str:
        """See HolderStore."""
        return await self._store.feed_id()

    async def people(self, keys: Sequence[bytes]) -> CurrentPeople:
        """See HolderStore."""
        state = await self._versions.known()
        for _ in range(ATTEMPTS):
            if self._versions.plain(state):
                found = await self._store.people(keys)
            else:
                meant = {key: person for person in keys for key in self._versions.asked(state, person)}
                stored = await self._store.people(list(meant))
                people = {meant[key]: self._own(meant[key], person) for key, person in stored.people.items()}
                found = stored._replace(people=people)
            if found.moved_keys == state.moved:
                return found
            state = await self._versions.look()
        raise _moving()

    def _own(self, asked: bytes, person: Person) -> Person:
        """Returns a person with the key that was asked for first, and own keys."""
        others = {self._versions.keys.own(key) for key in person.keys} - {self._versions.keys.own(asked)}
        return replace(person, keys=(asked, *sorted(others)))

    async def people_known_at(self, keys: Sequence[KeyAt]) -> Mapping[KeyAt, Person]:
        """See HolderStore."""
        for _ in range(ATTEMPTS):
            state = await self._versions.look()
            if self._versions.plain(state):
                found = await self._store.people_known_at(keys)
            else:
                meant = {(key, at): (person, at) for person, at in keys for key in self._versions.asked(state, person)}
                stored = await self._store.people_known_at(list(meant))
                found = {meant[key]: self._own(meant[key][0], person) for key, person in stored.items()}
            if (await self._store.key_state()).moved == state.moved:
                return found
            await asyncio.sleep(0)
        raise _moving()

    async def settle(self, at: Instant, now: Instant) -> None:
        """See HolderStore."""
        await self._store.settle(at, now)

    async def commit(self, command: Command, clock: Clock, key_version: int | None = None) -> Decision:
        """See HolderStore; the version is the store's own matter."""
        state = await self._versions.known()
        for _ in range(ATTEMPTS):
            versions = self._versions
            try:
                if versions.plain(state):
                    return await self._store.commit(command, clock, state.version)
                if state.moving:
                    await self._move(command)
                decision = await self._store.commit(_written(command, versions), clock, state.version)
                own = versions.keys.own
                return replace(
                    decision,
                    affected=tuple(sorted(map(own, decision.affected))),
                    person=tuple(sorted(map(own, decision.person))),
                )
            except KeysMovedError:
                state = await versions.look()
        raise _moving()

    async def _move(self, command: Command) -> None:
        """Moves whom a command is about. What was moved stays so: nobody writes older keys any more."""
        versions = self._versions
        named = [command.person] if isinstance(command, Switch) else [command.person, command.other]
        asked = [key for person in named for key in versions.keys.under_every_version(person)]
        keys = await self._store.connected(asked)
        await self._store.move_keys({key: written for key in keys if (written := versions.write(key)) != key})

    async def connected(self, keys: Sequence[bytes]) -> Sequence[bytes]:
        """See HolderStore."""
        return await self._store.connected(keys)

    async def changes(self, after: int, most: int) -> list[HolderEvent]:
        """See HolderStore."""
        events = await self._store.changes(after, most)
        if self._versions.plain(await self._versions.known()):
            return events
        own = self._versions.keys.own
        return [replace(event, person_keys=tuple(map(own, event.person_keys))) for event in events]

    async def last(self) -> int:
        """See HolderStore."""
        return await self._store.last()

    async def note(self, notes: Sequence[OutageNote]) -> None:
        """See HolderStore."""
        await self._store.note(notes)

    async def notes_at(self, instants: Sequence[Instant]) -> Sequence[Sequence[OutageNote]]:
        """See HolderStore."""
        return await self._store.notes_at(instants)

    async def proven_members(self) -> Sequence[ProvenMember]:
        """See HolderStore."""
        return await self._store.proven_members()

    async def prove_members(self, members: Sequence[ProvenMember]) -> None:
        """See HolderStore."""
        await self._store.prove_members(members)

    async def key_state(self) -> KeyState:
        """See KeyMoves."""
        return await self._store.key_state()

    async def begin_key_move(self, fingerprint: bytes, version: int) -> None:
        """See KeyMoves."""
        await self._store.begin_key_move(fingerprint, version)

    async def older_people(self, version: int, most: int) -> Sequence[Sequence[bytes]]:
        """See KeyMoves."""
        return await self._store.older_people(version, most)

    async def move_keys(self, moves: Mapping[bytes, bytes]) -> None:
        """See KeyMoves."""
        await self._store.move_keys(moves)

    async def end_key_move(self, version: int) -> bool:
        """See KeyMoves."""
        return await self._store.end_key_move(version)

    async def ping(self) -> None:
        """See HolderStore."""
        await self._store.ping()

    async def close(self) -> None:
        """See HolderStore."""
        await self._store.close()


def _written(command: Command, versions: KeyVersions) -> Command:
    if isinstance(command, Switch):
        return replace(command, person=versions.write(command.person))
    return replace(command, person=versions.write(command.person), other=versions.write(command.other))


def _moving() -> Unavailable:
    return unavailable(RuntimeError("keys were moved all the time"))
