"""Gathers evidence: who is asked, in which order, and how the answers become one.

The home stores and the nation are asked together, each once for everyone in the batch. Should the nation not answer,
the other regions are asked themselves, in the time that is left; should it answer but not have heard of some of them
lately, those are. Links, switches, records and outages are all of one instant, as known at which a question asked again
gets the same evidence (docs/decisions/0017).
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from hutong.common.v1.subject_pb2 import Purpose
from hutong.lookup.v1.evidence_service_pb2 import Evidence
from hutong.lookup.v1.region_pb2 import Scope
from hutong.records.v1.record_read_service_pb2 import RecordSelection

from services.common.instants import Instant, to_timestamp
from services.common.regions import NATION
from services.lookup.domain.budget import Budget
from services.lookup.domain.directory import Directory
from services.lookup.domain.holders import Person
from services.lookup.domain.selections import common_selection
from services.lookup.evidence.fan_out import FanOut, View
from services.lookup.evidence.outages import Outages
from services.lookup.evidence.sources import SourceQuestion, Sources
from services.lookup.store.protocol import HolderStore
from services.runtime.clock import Clock, system_clock

# Looked up once: on an enum of protobuf's this costs as much as reading a field.
_LOCAL, _NATIONAL = Scope.SCOPE_LOCAL, Scope.SCOPE_NATIONAL


class EvidenceQuestion(NamedTuple):
    """One question, checked. `known_at` None means now; `deadline` is an instant of the monotonic clock in seconds.
    Without a `selection` everything is asked for."""

    key: bytes
    region: str
    scope: Scope.ValueType
    known_at: Instant | None
    deadline: float
    selection: RecordSelection | None = None


class _Asked(NamedTuple):
    """A question with all keys of its person, the scope that applies, and where its evidence goes."""

    question: EvidenceQuestion
    keys: tuple[bytes, ...]
    scope: Scope.ValueType
    evidence: Evidence


_Wanted = Sequence[tuple[EvidenceQuestion, Evidence]]
"""Questions and where their evidence goes."""


class Gatherer:
    """Answers questions about people from every source that may know."""

    def __init__(
        self,
        directory: Directory,
        holders: HolderStore,
        sources: Sources,
        outages: Outages,
        patience: float,
        clock: Clock = system_clock,
    ) -> None:
        """`patience` is what one source may take at the most, in seconds."""
        self._clock = clock
        self._on_mesh = directory.on_mesh
        self._holders = holders
        self._sources = sources
        self._outages = outages
        self._patience = patience

    async def fill(
        self, purpose: Purpose.ValueType, questions: Sequence[EvidenceQuestion], targets: Sequence[Evidence]
    ) -> None:
        """Fills one empty Evidence for each question, in place: nothing is copied twice.

        Ends before the earliest deadline of the questions. Raises Unavailable (STORE_UNAVAILABLE) when it cannot be
        known which documents belong together; sources that do not answer are told in the coverage.
        """
        moments: dict[Instant | None, list[tuple[EvidenceQuestion, Evidence]]] = {}
        for question, target in zip(questions, targets, strict=True):
            moments.setdefault(question.known_at, []).append((question, target))
        budget = Budget(min(question.deadline for question in questions), self._patience)
        if len(moments) == 1:
            [(known_at, wanted)] = moments.items()
            await self._fill(purpose, known_at, wanted, budget)
            return
        async with asyncio.TaskGroup() as group:
            for known_at, wanted in moments.items():
                group.create_task(self._fill(purpose, known_at, wanted, budget))

    async def _fill(
        self, purpose: Purpose.ValueType, known_at: Instant | None, wanted: _Wanted, budget: Budget
    ) -> None:
        if known_at is None:
            await self._now(purpose, wanted, budget)
        else:
            await self._then(purpose, known_at, wanted, budget)

    async def _now(self, purpose: Purpose.ValueType, wanted: _Wanted, budget: Budget) -> None:
        moment = self._outages.moment(self._clock())
        await self._holders.settle(moment.at, self._clock())
        people, latest = await self._holders.people(_keys(wanted))
        if latest > moment.at:
            # Somebody linked or switched meanwhile.
            moment = self._outages.moment(latest)
            people = await self._people_then(wanted, moment.at)
        asked = _asked(wanted, people)
        answered = await self._ask(
            SourceQuestion(purpose, None, moment.at, moment.down, _selection(asked)), asked, budget
        )
        told = answered.known_at()
        if told > moment.at:
            # Something arrived while the sources were asked: they are asked again as of one and the same instant,
            # at which they will say the same whenever they are asked.
            moment = self._outages.moment(told)
            asked = _asked(wanted, await self._people_then(wanted, moment.at))
            answered = await self._ask(
                SourceQuestion(purpose, moment.at, None, moment.down, _selection(asked)), asked, budget
            )
        self._outages.missed(moment, answered.missed())
        await self._outages.saved(budget.end)
        self._assemble(answered, moment.at, asked)

    async def _then(self, purpose: Purpose.ValueType, known_at: Instant, wanted: _Wanted, budget: Budget) -> None:
        await self._outages.saved(budget.end)
        down = await self._outages.down_at(known_at)
        asked = _asked(wanted, await self._people_then(wanted, known_at))
        answered = await self._ask(SourceQuestion(purpose, known_at, None, down, _selection(asked)), asked, budget)
        if answered.missed():
            # Who could be asked then cannot be asked now: from part of what was known, another verdict might follow.
            answered.forget()
        self._assemble(answered, known_at, asked)

    async def _people_then(self, wanted: _Wanted, known_at: Instant) -> Mapping[bytes, Person]:
        await self._holders.settle(known_at, self._clock())
        return await self._holders.people_known_at(_keys(wanted), known_at)

    async def _ask(self, asking: SourceQuestion, asked: Sequence[_Asked], budget: Budget) -> FanOut:
        answered = FanOut(self._sources, self._on_mesh, asking)
        at_home: dict[str, dict[bytes, None]] = {}
        everyone: dict[bytes, None] = {}
        for one in asked:
            home = at_home.setdefault(one.question.region, {})
            for key in one.keys:
                home[key] = everyone[key] = None
        async with asyncio.TaskGroup() as group:
            limit = budget.first(time.monotonic())
            for region, home in at_home.items():
                if region in self._on_mesh:
                    group.create_task(answered.ask(region, list(home), limit))
            await answered.ask(NATION, list(everyone), limit)
            if elsewhere := answered.elsewhere():
                limit = budget.second(time.monotonic())
                for region in elsewhere:
                    others = {key for code, keys in at_home.items() if code != region for key in keys}
                    if wanted := others - at_home.get(region, {}).keys():
                        group.create_task(answered.ask(region, sorted(wanted), limit))
        return answered

    def _assemble(self, answered: FanOut, known_at: Instant, asked: Sequence[_Asked]) -> None:
        views: dict[str, View] = {}
        for one in asked:
            region, evidence = one.question.region, one.evidence
            view = views.get(region)
            if view is None:
                view = views[region] = answered.view(region)
            evidence.scope = one.scope
            evidence.person_keys.extend(one.keys)
            view.fill(one.keys, evidence)
            evidence.known_at.CopyFrom(to_timestamp(known_at))


def _keys(wanted: _Wanted) -> list[bytes]:
    return list({question.key for question, _ in wanted})


def _selection(asked: Sequence[_Asked]) -> RecordSelection | None:
    own = {one.question.region for one in asked if one.scope == _LOCAL}
    return common_selection([one.question.selection for one in asked], own)


def _asked(wanted: _Wanted, people: Mapping[bytes, Person]) -> list[_Asked]:
    asked = []
    for question, evidence in wanted:
        person = people.get(question.key)
        if person is None:
            asked.append(_Asked(question, (question.key,), question.scope or _NATIONAL, evidence))
        else:
            scope = question.scope or person.scopes.get(question.region, _NATIONAL)
            asked.append(_Asked(question, person.keys, scope, evidence))
    return asked
