"""Gathers evidence: who is asked, in which order, and how the answers become one.

The home stores and the nation are asked together, each once for everyone in the batch. Should the nation not answer,
the other regions are asked themselves, in the time that is left; should it answer but not have heard of some of them
lately, those are. Links, switches, records and outages are all of one instant, as known at which a question asked again
gets the same evidence (docs/decisions/0017). Questions about many instants of the past travel together, too.
"""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from hutong.common.v1.subject_pb2 import Purpose
from hutong.lookup.v1.evidence_service_pb2 import Evidence

from services.common.errors import DeadlineExceeded
from services.common.instants import Instant, to_timestamp
from services.common.regions import NATION
from services.lookup.domain.budget import Budget
from services.lookup.domain.directory import Directory
from services.lookup.evidence.fan_out import FanOut, RegionView
from services.lookup.evidence.laboratory_tables import LaboratoryTables
from services.lookup.evidence.outages import Outages
from services.lookup.evidence.questions import (
    EvidenceQuestion,
    PersonQuestion,
    Wanted,
    keys_of,
    of_people,
    of_people_at,
    selection_for,
)
from services.lookup.evidence.source_answers import SourceQuestion
from services.lookup.evidence.sources import Sources
from services.lookup.store.protocol import HolderStore
from services.runtime.clock import Clock, system_clock
from services.runtime.resilience.turns import Turns
from services.runtime.rpc.call import current_asker

PAST_IN_TURN = 50
"""So many questions about the past are worked on in one turn; callers take turns, while live questions do not wait."""
ASSEMBLED_AT_ONCE = 100
"""So many answers are put together before others have their turn."""


@dataclass(frozen=True, slots=True)
class _Inquiry:
    """The questions of one instant, and the answers of the sources. Keys are sets that keep their order."""

    fan_out: FanOut
    asked: Sequence[PersonQuestion]
    at_home: dict[str, dict[bytes, None]] = field(default_factory=dict)
    everyone: dict[bytes, None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for one in self.asked:
            home = self.at_home.setdefault(one.question.region, {})
            for key in one.keys:
                home[key] = self.everyone[key] = None

    def away_from(self, region: str) -> list[bytes]:
        """Returns the keys that were asked about in other regions, and have not been asked of this one."""
        others = {key for code, keys in self.at_home.items() if code != region for key in keys}
        return sorted(others - self.at_home.get(region, {}).keys())


class Gatherer:
    """Answers questions about people from every source that may know."""

    def __init__(
        self,
        directory: Directory,
        holders: HolderStore,
        sources: Sources,
        tables: LaboratoryTables,
        outages: Outages,
        source_timeout: float,
        clock: Clock = system_clock,
    ) -> None:
        """`source_timeout` is what one source may take at the most, in seconds."""
        self._clock = clock
        self._on_mesh = directory.on_mesh
        self._holders = holders
        self._sources = sources
        self._tables = tables
        self._outages = outages
        self._source_timeout = source_timeout
        self._turns = Turns()

    async def fill(
        self, purpose: Purpose.ValueType, questions: Sequence[EvidenceQuestion], targets: Sequence[Evidence]
    ) -> None:
        """Fills one empty Evidence for each question, in place: nothing is copied twice.

        Ends before the earliest deadline of the questions. Raises Unavailable (STORE_UNAVAILABLE) when it cannot be
        known which documents belong together, DeadlineExceeded when the time does not do; sources that do not answer
        are told in the coverage.
        """
        live: list[Wanted] = []
        past: dict[Instant, list[Wanted]] = {}
        for question, target in zip(questions, targets, strict=True):
            wanted = Wanted(question, target)
            if question.known_at is None:
                live.append(wanted)
            else:
                past.setdefault(question.known_at, []).append(wanted)
        budget = Budget(min(question.deadline for question in questions), self._source_timeout)
        if not past:
            await self._fill_live(purpose, live, budget)
        elif not live:
            await self._fill_past(purpose, past, budget)
        else:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._fill_live(purpose, live, budget))
                group.create_task(self._fill_past(purpose, past, budget))

    async def _fill_live(self, purpose: Purpose.ValueType, wanted: Sequence[Wanted], budget: Budget) -> None:
        with self._turns.light():
            await self._fill_now(purpose, wanted, budget)

    async def _fill_now(self, purpose: Purpose.ValueType, wanted: Sequence[Wanted], budget: Budget) -> None:
        instant = self._outages.next_instant(self._clock())
        await self._holders.settle(instant.at, self._clock())
        current = await self._holders.people(keys_of(wanted))
        asked = of_people(wanted, current.people)
        if current.latest > instant.at:
            # Somebody linked or switched meanwhile.
            instant = self._outages.next_instant(current.latest)
            asked = await self._known_at(wanted, instant.at)
        inquiry = self._inquiry(SourceQuestion(purpose, None, instant.at, instant.down, selection_for(asked)), asked)
        await self._ask([inquiry], budget)
        told = inquiry.fan_out.known_at()
        if told > instant.at:
            # Something arrived while the sources were asked: they are asked again as of one and the same instant,
            # at which they will say the same whenever they are asked.
            instant = self._outages.next_instant(told)
            asked = await self._known_at(wanted, instant.at)
            question = SourceQuestion(purpose, instant.at, None, instant.down, selection_for(asked))
            inquiry = self._inquiry(question, asked, live=True)
            await self._ask([inquiry], budget)
        self._outages.missed(instant, inquiry.fan_out.missed())
        await self._outages.saved(budget.end)
        await self._assemble(inquiry, instant.at, budget)

    async def _fill_past(
        self, purpose: Purpose.ValueType, wanted_at: dict[Instant, list[Wanted]], budget: Budget
    ) -> None:
        try:
            async with asyncio.timeout(budget.seconds(time.monotonic())):
                for part in _parts(wanted_at):
                    async with self._turns.heavy(current_asker()):
                        await self._fill_instants(purpose, part, budget)
        except TimeoutError:
            raise DeadlineExceeded() from None

    async def _fill_instants(
        self, purpose: Purpose.ValueType, wanted_at: dict[Instant, list[Wanted]], budget: Budget
    ) -> None:
        instants = list(wanted_at)
        await self._outages.saved(budget.end)
        down_at = await self._outages.down_at(instants)
        await self._holders.settle(max(instants), self._clock())
        people = await self._holders.people_known_at(
            [(key, at) for at, wanted in wanted_at.items() for key in keys_of(wanted)]
        )
        asked_at = {at: of_people_at(wanted, people, at) for at, wanted in wanted_at.items()}
        selection = selection_for([one for asked in asked_at.values() for one in asked])
        inquiries = [
            self._inquiry(SourceQuestion(purpose, at, None, down, selection), asked)
            for (at, asked), down in zip(asked_at.items(), down_at, strict=True)
        ]
        await self._ask(inquiries, budget)
        for at, inquiry in zip(instants, inquiries, strict=True):
            await self._assemble(inquiry, at, budget)

    async def _known_at(self, wanted: Sequence[Wanted], at: Instant) -> list[PersonQuestion]:
        await self._holders.settle(at, self._clock())
        return of_people_at(wanted, await self._holders.people_known_at([(key, at) for key in keys_of(wanted)]), at)

    def _inquiry(self, question: SourceQuestion, asked: Sequence[PersonQuestion], *, live: bool = False) -> _Inquiry:
        return _Inquiry(
            FanOut(question, self._on_mesh, self._tables, past=question.known_at is not None and not live), asked
        )

    async def _ask(self, inquiries: Sequence[_Inquiry], budget: Budget) -> None:
        """Puts inquiries to the sources: first to the nation and the home stores, then to whom the nation does not
        speak for."""
        limit = budget.first(time.monotonic())
        at_home: dict[str, list[tuple[_Inquiry, Sequence[bytes]]]] = {}
        for inquiry in inquiries:
            for region, keys in inquiry.at_home.items():
                if region in self._on_mesh:
                    at_home.setdefault(region, []).append((inquiry, list(keys)))
        async with asyncio.TaskGroup() as group:
            for region, asked in at_home.items():
                group.create_task(self._ask_source(region, asked, limit, budget.first_end(time.monotonic())))
            everyone = [(inquiry, list(inquiry.everyone)) for inquiry in inquiries]
            await self._ask_source(NATION, everyone, limit, budget.first_end(time.monotonic()))
            elsewhere: dict[str, list[tuple[_Inquiry, Sequence[bytes]]]] = {}
            for inquiry in inquiries:
                for region in inquiry.fan_out.regions_unspoken_for():
                    if away := inquiry.away_from(region):
                        elsewhere.setdefault(region, []).append((inquiry, away))
            limit = budget.second(time.monotonic())
            for region, asked in elsewhere.items():
                group.create_task(self._ask_source(region, asked, limit, budget.second_end))

    async def _ask_source(
        self, source: str, asked: Sequence[tuple[_Inquiry, Sequence[bytes]]], limit: float, end: float
    ) -> None:
        questions = [(inquiry.fan_out.question, keys) for inquiry, keys in asked]
        answers = await self._sources.ask(source, questions, limit, end)
        for (inquiry, _), answer in zip(asked, answers, strict=True):
            inquiry.fan_out.add(answer)

    async def _assemble(self, inquiry: _Inquiry, known_at: Instant, budget: Budget) -> None:
        views: dict[str, RegionView] = {}
        known_at_message = to_timestamp(known_at)
        for number, one in enumerate(inquiry.asked, 1):
            region, evidence = one.question.region, one.evidence
            view = views.get(region)
            if view is None:
                view = views[region] = inquiry.fan_out.view(region)
            evidence.scope = one.scope
            evidence.person_keys.extend(one.keys)
            view.fill(one.keys, evidence)
            evidence.known_at.CopyFrom(known_at_message)
            if number % ASSEMBLED_AT_ONCE == 0:
                await asyncio.sleep(0)
        if budget.deadline < time.monotonic():
            # Nobody waits for the rest.
            raise DeadlineExceeded()


def _parts(wanted_at: Mapping[Instant, list[Wanted]]) -> Iterator[dict[Instant, list[Wanted]]]:
    """Yields the questions of the instants in parts of a turn each; those about one instant stay together."""
    part: dict[Instant, list[Wanted]] = {}
    size = 0
    for at, wanted in wanted_at.items():
        if part and size + len(wanted) > PAST_IN_TURN:
            yield part
            part, size = {}, 0
        part[at] = wanted
        size += len(wanted)
    if part:
        yield part
