"""Gathers evidence: who is asked, in which order, and how the answers become one.

The home stores and the nation are asked together, each once for everyone in the batch. Should the nation not answer,
the other regions are asked themselves, in the time that is left; should it answer but not have heard of some of them
lately, those are.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import NamedTuple

from hutong.common.v1.subject_pb2 import Purpose
from hutong.lookup.v1.evidence_service_pb2 import Evidence, SourceCoverage
from hutong.lookup.v1.region_pb2 import Scope
from hutong.records.v1.laboratory_pb2 import Laboratory

from services.common.instants import Instant
from services.lookup.domain.budget import Budget
from services.lookup.domain.directory import NATION, Directory
from services.lookup.domain.merge import merge_laboratories, merge_records
from services.lookup.sources import OK, UNREACHABLE, Answer, Sources
from services.lookup.store.protocol import HolderStore

# Looked up once: on an enum of protobuf's this costs as much as reading a field.
_NATIONAL = Scope.SCOPE_NATIONAL


class Question(NamedTuple):
    """One question, checked. `known_at` None means now; `deadline` is an instant of the monotonic clock in seconds."""

    key: bytes
    region: str
    scope: Scope.ValueType
    known_at: Instant | None
    deadline: float


class _Asked(NamedTuple):
    """A question with all keys of its person."""

    question: Question
    keys: tuple[bytes, ...]
    evidence: Evidence


class _View(NamedTuple):
    """What a question in one region rests on: the answers that concern it, joined once for all such questions."""

    answers: Sequence[Answer]
    common: Evidence
    laboratories: dict[str, Laboratory]


class Gatherer:
    """Answers questions about people from every source that may know."""

    def __init__(self, directory: Directory, holders: HolderStore, sources: Sources, patience: float) -> None:
        """`patience` is what one source may take at the most, in seconds."""
        self._on_mesh = directory.on_mesh
        self._holders = holders
        self._sources = sources
        self._patience = patience

    async def fill(
        self, purpose: Purpose.ValueType, questions: Sequence[Question], targets: Sequence[Evidence]
    ) -> None:
        """Fills one empty Evidence for each question, in place: nothing is copied twice.

        Ends before the earliest deadline of the questions. Raises Unavailable (STORE_UNAVAILABLE) when it cannot be
        known which documents belong together; sources that do not answer are told in the coverage.
        """
        people = await self._holders.people(list({question.key for question in questions}))
        moments: dict[Instant | None, list[_Asked]] = {}
        for question, target in zip(questions, targets, strict=True):
            person = people.get(question.key)
            if person is None:
                keys: tuple[bytes, ...] = (question.key,)
                target.scope = question.scope or _NATIONAL
            else:
                keys = person.keys
                target.scope = question.scope or person.scopes.get(question.region, _NATIONAL)
            target.person_keys.extend(keys)
            moments.setdefault(question.known_at, []).append(_Asked(question, keys, target))
        budget = Budget(min(question.deadline for question in questions), self._patience)
        if len(moments) == 1:
            [(known_at, asked)] = moments.items()
            await self._moment(purpose, known_at, asked, budget)
            return
        async with asyncio.TaskGroup() as group:
            for known_at, asked in moments.items():
                group.create_task(self._moment(purpose, known_at, asked, budget))

    async def _moment(
        self, purpose: Purpose.ValueType, known_at: Instant | None, asked: Sequence[_Asked], budget: Budget
    ) -> None:
        round_of = _Round(self._sources, purpose, known_at)
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
                    group.create_task(round_of.ask(region, list(home), limit))
            nation = await round_of.ask(NATION, list(everyone), limit)
            if elsewhere := self._elsewhere(nation):
                limit = budget.second(time.monotonic())
                for region in elsewhere:
                    others = {key for code, keys in at_home.items() if code != region for key in keys}
                    if wanted := others - at_home.get(region, {}).keys():
                        group.create_task(round_of.ask(region, sorted(wanted), limit))
        views = {region: self._view(region, round_of.answers, nation) for region in at_home}
        for one in asked:
            _assemble(views[one.question.region], one.keys, one.evidence)

    def _elsewhere(self, nation: Answer) -> Sequence[str]:
        """The regions that the nation does not speak for."""
        return nation.behind if nation.status == OK else self._on_mesh

    def _view(self, region: str, answers: dict[str, list[Answer]], nation: Answer) -> _View:
        names = [region] if region in self._on_mesh else []
        names.append(NATION)
        names.extend(other for other in self._elsewhere(nation) if other != region)
        told: list[Answer] = []
        coverage = []
        for name in names:
            given = answers[name]
            told.extend(answer for answer in given if answer.status == OK)
            coverage.append(_coverage(name, given))
        laboratories = merge_laboratories(said for answer in told for said in answer.laboratories)
        # What all these questions have in common is merged into each at once, which costs half of setting its parts.
        common = Evidence(region=region, coverage=coverage)
        return _View([answer for answer in told if answer.records], common, laboratories)


class _Round:
    """The asking for one batch as known at one instant; collects every answer by source."""

    def __init__(self, sources: Sources, purpose: Purpose.ValueType, known_at: Instant | None) -> None:
        self._sources = sources
        self._purpose = purpose
        self._known_at = known_at
        self.answers: dict[str, list[Answer]] = {}

    async def ask(self, source: str, keys: Sequence[bytes], limit: float) -> Answer:
        answer = await self._sources.ask(source, keys, self._purpose, self._known_at, limit)
        self.answers.setdefault(source, []).append(answer)
        return answer


def _coverage(source: str, answers: Sequence[Answer]) -> SourceCoverage:
    """Asked twice (for its own questions and, the nation being down, for the others'), a source has answered when it
    answered both times."""
    if not all(answer.status == OK for answer in answers):
        return SourceCoverage(source=source, status=UNREACHABLE)
    instants = [answer.as_of for answer in answers if answer.as_of is not None]
    as_of = min(instants, key=lambda instant: (instant.seconds, instant.nanos), default=None)
    return SourceCoverage(source=source, status=OK, as_of=as_of)


def _assemble(view: _View, keys: Sequence[bytes], evidence: Evidence) -> None:
    found = [records for answer in view.answers for key in keys if (records := answer.records.get(key)) is not None]
    evidence.MergeFrom(view.common)
    if not found:
        return
    merged = merge_records(found)
    evidence.records.extend(merged)
    laboratories = view.laboratories
    appearing = {record.content.laboratory for record in merged}
    evidence.laboratories.extend([laboratories[name] for name in sorted(appearing) if name in laboratories])
