"""Asks the stores on the list of members who they are, after a start with a list that was not gone by before."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Protocol

from services.common.errors import ServiceError, Unavailable
from services.common.identities import REASONS
from services.common.mesh_directory import MeshDirectory
from services.common.regions import NATION
from services.lookup.domain.members import MemberAnswer, ProvenMember, list_troubles
from services.lookup.evidence.identities import SourceIdentities
from services.lookup.evidence.sign_of_life import sign_of_life
from services.lookup.ports import RecordsSource
from services.runtime.resilience.backoff import Backoff

log = logging.getLogger("hutong.readiness")

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 1.0
ANSWER_SECONDS = 2.0


class ProvenList(Protocol):
    """A store that keeps the list of members that was proven last."""

    async def proven_members(self) -> Sequence[ProvenMember]:
        """See HolderStore."""

    async def prove_members(self, members: Sequence[ProvenMember]) -> None:
        """See HolderStore."""


class FirstContact:
    """The first contact with the stores on the list. A lookup without it is not ready, so that a rollout with a wrong
    list stops at its first pod. The list that was proven last, by whichever replica, needs none: a lookup that starts
    again while a store is down serves at once, and from then on nothing that a store does takes it out of service."""

    def __init__(
        self,
        sources: Mapping[str, RecordsSource],
        identities: SourceIdentities,
        members: MeshDirectory,
        proven: ProvenList,
    ) -> None:
        """`sources` are the stores on the list `members`, by name."""
        self._sources = sources
        self._identities = identities
        self._entries = {name: member.digest for name, member in members.members.items()}
        self._version = members.version
        self._proven = proven
        self._trouble = "not asked yet"

    async def ping(self) -> None:
        """Raises RuntimeError until the list is proven."""
        if self._trouble:
            raise RuntimeError(self._trouble)

    async def run(self) -> None:
        """Asks until the list is proven, and then no more."""
        backoff = Backoff(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
        while self._trouble:
            try:
                trouble = await self._look()
            except Unavailable as error:
                trouble = f"store: {error.reason}"
            if trouble and trouble != self._trouble:
                log.warning("the list of members is not gone by yet: %s", trouble)
            self._trouble = trouble
            if trouble:
                await backoff.wait()

    async def _look(self) -> str:
        proven = {member.name: member for member in await self._proven.proven_members()}
        if self._entries and self._entries == {name: member.entry for name, member in proven.items()}:
            return ""
        # The nation first: it says which feeds the regions must have.
        nation = [NATION] if NATION in self._sources else []
        others = [name for name in self._sources if name != NATION]
        asked = await asyncio.gather(*(self._ask(name) for name in nation))
        asked += await asyncio.gather(*(self._ask(name) for name in others))
        answers = {name: answer for name, answer in zip([*nation, *others], asked, strict=True) if answer is not None}
        troubles = list_troubles(self._entries, self._version, proven, answers)
        if not troubles:
            await self._proven.prove_members(
                [
                    ProvenMember(name, entry, answers[name].feed_id if name in answers else "")
                    for name, entry in self._entries.items()
                ]
            )
        return "; ".join(troubles)

    async def _ask(self, name: str) -> MemberAnswer | None:
        """Returns what a store says of itself, None when it was not reached."""
        try:
            response = await sign_of_life(self._sources[name], ANSWER_SECONDS)
        except (ServiceError, TimeoutError):
            return None
        identity = response.identity
        try:
            self._identities.check(name, identity, response.behind)
        except Unavailable as error:
            if error.reason in REASONS:
                self._identities.note(name, error.reason, error)
            return MemberAnswer(error.reason, identity.feed_id, identity.directory_version)
        return MemberAnswer("", identity.feed_id, identity.directory_version)
