"""One asking of the sources for one batch, as known at one instant, and what each question makes of the answers."""

from collections.abc import Sequence
from typing import NamedTuple

from hutong.lookup.v1.evidence_service_pb2 import Evidence, SourceCoverage
from hutong.records.v1.laboratory_pb2 import Laboratory

from services.common.instants import Instant
from services.common.regions import NATION
from services.lookup.domain.merge import merge_laboratories, merge_records
from services.lookup.domain.selections import common_left_out
from services.lookup.evidence.sources import OK, UNREACHABLE, SourceAnswer, SourceQuestion, Sources


class View(NamedTuple):
    """The answers that questions in one region rest on, joined once for all of them."""

    answers: Sequence[SourceAnswer]
    common: Evidence
    laboratories: dict[str, Laboratory]

    def fill(self, keys: Sequence[bytes], evidence: Evidence) -> None:
        """Adds what is known of a person with these keys."""
        found = [records for answer in self.answers for key in keys if (records := answer.records.get(key)) is not None]
        evidence.MergeFrom(self.common)
        if not found:
            return
        merged = merge_records(found)
        evidence.records.extend(merged)
        left_out = [left for answer in self.answers for key in keys if (left := answer.left_out.get(key)) is not None]
        if left_out:
            evidence.left_out.extend(common_left_out(left_out))
        laboratories = self.laboratories
        appearing = {record.content.laboratory for record in merged}
        evidence.laboratories.extend([laboratories[name] for name in sorted(appearing) if name in laboratories])


class FanOut:
    """Every answer, by source.

    Asked twice (for its own questions and, the nation being down, for the others'), a source has answered when it
    answered both times; otherwise nothing that it said counts.
    """

    def __init__(self, sources: Sources, on_mesh: Sequence[str], asking: SourceQuestion) -> None:
        self._sources = sources
        self._on_mesh = on_mesh
        self._asking = asking
        self._answers: dict[str, list[SourceAnswer]] = {}

    async def ask(self, source: str, keys: Sequence[bytes], limit: float) -> None:
        """Asks one source; see Sources.ask."""
        answer = await self._sources.ask(source, keys, self._asking, limit)
        self._answers.setdefault(source, []).append(answer)

    def elsewhere(self) -> Sequence[str]:
        """The regions that the nation, which was asked, does not speak for."""
        [nation] = self._answers[NATION]
        return nation.behind if nation.status == OK else self._on_mesh

    def known_at(self) -> Instant:
        """The instant as known at which all that answered say the same again."""
        return max(answer.known_at for given in self._answers.values() for answer in given)

    def missed(self) -> list[str]:
        """The sources that did not answer although they were not known to be down."""
        return [
            source
            for source, given in self._answers.items()
            if source in self._sources and source not in self._asking.down and not _answered(given)
        ]

    def forget(self) -> None:
        """Takes every answer back, so that no source has answered."""
        self._answers = {
            source: [SourceAnswer(source, UNREACHABLE) for _ in given] for source, given in self._answers.items()
        }

    def view(self, region: str) -> View:
        """Returns the answers that a question in this region rests on."""
        names = [region] if region in self._on_mesh else []
        names.append(NATION)
        names.extend(other for other in self.elsewhere() if other != region)
        told: list[SourceAnswer] = []
        coverage = []
        for name in names:
            given = self._answers.get(name, ())
            if _answered(given):
                told.extend(given)
            coverage.append(_coverage(name, given))
        laboratories = merge_laboratories(said for answer in told for said in answer.laboratories)
        # What all these questions have in common is merged into each at once, which costs half of setting its parts.
        common = Evidence(region=region, coverage=coverage)
        return View([answer for answer in told if answer.records], common, laboratories)


def _answered(answers: Sequence[SourceAnswer]) -> bool:
    return bool(answers) and all(answer.status == OK for answer in answers)


def _coverage(source: str, answers: Sequence[SourceAnswer]) -> SourceCoverage:
    if not _answered(answers):
        return SourceCoverage(source=source, status=UNREACHABLE)
    instants = [answer.as_of for answer in answers if answer.as_of is not None]
    as_of = min(instants, key=lambda instant: (instant.seconds, instant.nanos), default=None)
    return SourceCoverage(source=source, status=OK, as_of=as_of)
