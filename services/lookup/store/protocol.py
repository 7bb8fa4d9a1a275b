"""The protocol of a holder store, whatever it is made of."""

import logging
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from services.common.errors import Unavailable
from services.common.instants import Instant
from services.lookup.domain.holders import Command, Decision, HolderEvent, KeyAt, Person
from services.lookup.domain.members import ProvenMember
from services.lookup.domain.outages import OutageNote
from services.runtime.clock import Clock
from services.runtime.storage.key_moves import KeyMoves

log = logging.getLogger("hutong.lookup.store")


class CurrentPeople(NamedTuple):
    """The people behind some keys now. `latest` is no earlier than the instant of any commit that was seen,
    `moved_keys` how often keys had been moved to another version of the secret; -1 where that happened meanwhile."""

    people: Mapping[bytes, Person]
    latest: Instant
    moved_keys: int = 0


class KeysMovedError(Exception):
    """The store writes keys of another version than a command's: nothing was stored."""


class HolderStore(KeyMoves, Protocol):
    """An append-only log of what holders changed, the links and switches that follow from it, and an append-only log of
    the outages of sources.

    Instants grow with the log: what was known at one is its beginning.

    Every method raises Unavailable (STORE_UNAVAILABLE) when the store cannot be used; drivers' errors do not pass.
    """

    async def feed_id(self) -> str:
        """Returns what names the history in which this log counts: a store that is made anew has another."""

    async def people(self, keys: Sequence[bytes]) -> CurrentPeople:
        """Returns the people behind up to some thousand keys, by the key asked for. Only those linked to another
        document, or switched somewhere, are in the answer."""

    async def people_known_at(self, keys: Sequence[KeyAt]) -> Mapping[KeyAt, Person]:
        """Returns the same as it was known at instants, each key at its own."""

    async def settle(self, at: Instant, now: Instant) -> None:
        """Returns when no commit can any more bear an instant at or before `at`: see CommitClock.settle."""

    async def commit(self, command: Command, clock: Clock, key_version: int | None = None) -> Decision:
        """Decides and writes one command, at an instant later than that of every commit before; when this returns, it
        is durable. Commands take effect one after another. Raises what `decide` raises, and
        KeysMovedError where the store does not write the version that the command's keys are of."""

    async def connected(self, keys: Sequence[bytes]) -> Sequence[bytes]:
        """Returns these keys, and all that were ever linked to them."""

    async def changes(self, after: int, most: int) -> list[HolderEvent]:
        """Returns up to `most` entries of the log after a sequence, in order. They become visible in order, without
        gaps."""

    async def last(self) -> int:
        """Returns the sequence of the last entry; 0 when there is none."""

    async def note(self, notes: Sequence[OutageNote]) -> None:
        """Appends what became of sources; when this returns, it is durable. Twice is once."""

    async def notes_at(self, instants: Sequence[Instant]) -> Sequence[Sequence[OutageNote]]:
        """Returns, for each instant, the notes that tell which sources were down at it, in order of time: see
        `down_at`."""

    async def proven_members(self) -> Sequence[ProvenMember]:
        """Returns the list of members that was proven last, by name; empty for none."""

    async def prove_members(self, members: Sequence[ProvenMember]) -> None:
        """Keeps a list of members in place of the former one; when this returns, it is durable."""

    async def ping(self) -> None:
        """Returns when the store answers."""

    async def close(self) -> None:
        """Lets go of everything. Safe to call twice."""


def unavailable(error: Exception) -> Unavailable:
    """Returns what a caller sees of a driver's error; the error itself goes to the log."""
    log.warning("the holder store failed", extra={"error": f"{type(error).__name__}: {error}"})
    return Unavailable("STORE_UNAVAILABLE", "关联信息库暂不可用", "The store of links and switches is not available")
