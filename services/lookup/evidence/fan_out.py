"""The answers to one question that was put to several sources, and what they mean for each region."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from google.protobuf.timestamp_pb2 import Timestamp
from hutong.lookup.v1.evidence_service_pb2 import Evidence, SourceCoverage
from hutong.records.v1.laboratory_pb2 import Laboratory

from services.common.instants import Instant
from services.common.regions import NATION
from services.lookup.domain.merge import merge_records
from services.lookup.domain.selections import GivenBySource, common_left_out
from services.lookup.evidence.laboratory_tables import LaboratoryTables
from services.lookup.evidence.source_answers import OK, UNREACHABLE, SourceAnswer, SourceQuestion


@dataclass(frozen=True, slots=True)
class RegionView:
    """The answers that questions in one region rest on, joined once for all of them."""

    answers: Sequence[SourceAnswer]
    common: Evidence
    laboratories: Mapping[str, Laboratory]

    def fill(self, keys: Sequence[bytes], evidence: Evidence) -> None:
        """Adds what is known of a person with these keys."""
        evidence.MergeFrom(self.common)
        told = [records for answer in self.answers for key in keys if (records := answer.records(key))]
        merged = merge_records(told) if told else ()
        if any(answer.left_out(key) for answer in self.answers for key in keys):
            given = [
                [GivenBySource(answer.source, answer.records(key), answer.left_out(key)) for answer in self.answers]
                for key in keys
            ]
            evidence.left_out.extend(common_left_out(given, merged))
        if not merged:
            return
        evidence.records.extend(merged)
        appearing = {record.content.laboratory for record in merged}
        standing = self.laboratories
        evidence.laboratories.extend([standing[name] for name in sorted(appearing) if name in standing])


class FanOut:
    """Collects the answers to one question, by source.

    Asked twice (for its own region's people and, the nation being down, for others'), a source has answered when it
    answered both times; otherwise nothing that it said counts.
    """

    def __init__(
        self, question: SourceQuestion, on_mesh: Sequence[str], tables: LaboratoryTables, *, past: bool = False
    ) -> None:
        """`past`: the question is about an instant of the past, not a live one that is asked again."""
        self.question = question
        self._past = past
        self._on_mesh = on_mesh
        self._tables = tables
        self._answers: dict[str, list[SourceAnswer]] = {}

    def add(self, answer: SourceAnswer) -> None:
        """Takes an answer."""
        self._answers.setdefault(answer.source, []).append(answer)

    def regions_unspoken_for(self) -> Sequence[str]:
        """Returns the regions that the nation, which was asked, does not speak for: all of them when it did not answer,
        else those that it has not heard of lately or does not follow."""
        [nation] = self._answers[NATION]
        if nation.status != OK:
            return self._on_mesh
        return sorted({*nation.silent} | ({*self._on_mesh} - {*nation.follows}))

    def known_at(self) -> Instant:
        """Returns the instant as known at which all that answered say the same again."""
        return max(answer.known_at for answers in self._answers.values() for answer in answers)

    def missed(self) -> list[str]:
        """Returns the sources that did not answer although they were not known to be down."""
        return [source for source, answers in self._answers.items() if self._missed(source, answers)]

    def _missed(self, source: str, answers: Sequence[SourceAnswer]) -> bool:
        # Who is not on the mesh cannot be asked, then as now.
        known = source == NATION or source in self._on_mesh
        return known and source not in self.question.down and not _answered(answers)

    def view(self, region: str) -> RegionView:
        """Returns what questions in this region rest on.

        Asked about the past, nothing is told once a source could be asked then and cannot be asked now: from part of
        what was known, another verdict might follow.
        """
        names = [region] if region in self._on_mesh else []
        names.append(NATION)
        names.extend(other for other in self.regions_unspoken_for() if other != region)
        answers = {name: self._answers.get(name, []) for name in names}
        if self._past and any(self._missed(name, answers[name]) for name in names):
            answers = {name: [] for name in names}
        known = _known_through(answers[NATION][0]) if _answered(answers[NATION]) else {}
        coverage = [_coverage(name, given, known.get(name), past=self._past) for name, given in answers.items()]
        told = [answer for given in answers.values() if _answered(given) for answer in given]
        return RegionView(
            [answer for answer in told if answer.people],
            # What all these questions have in common is merged into each at once: half the cost of setting its parts.
            Evidence(region=region, coverage=coverage),
            self._tables.merge([answer.laboratories for answer in told]),
        )


def _known_through(nation: SourceAnswer) -> Mapping[str, Timestamp]:
    """Returns up to when the nation, which answered, knows each region that it follows, as far as that is known."""
    known = {} if nation.as_of is None else dict.fromkeys(nation.follows, nation.as_of)
    # The epoch stands for what is not known.
    return {region: as_of for region, as_of in {**known, **nation.silent}.items() if as_of.seconds > 0}


def _answered(answers: Sequence[SourceAnswer]) -> bool:
    return bool(answers) and all(answer.status == OK for answer in answers)


def _coverage(source: str, answers: Sequence[SourceAnswer], known: Timestamp | None, *, past: bool) -> SourceCoverage:
    """Returns what became of asking a source; `known` is up to when the nation knows it, where it is behind."""
    if not _answered(answers):
        # Which mistake of then it was is not noted: the past is told the same whenever it is asked about.
        reasons = [] if past else [answer.reason for answer in answers if answer.reason]
        return SourceCoverage(source=source, status=UNREACHABLE, reason=next(iter(reasons), ""), as_of=known)
    instants = [answer.as_of for answer in answers if answer.as_of is not None]
    as_of = min(instants, key=lambda instant: (instant.seconds, instant.nanos), default=None)
    return SourceCoverage(source=source, status=OK, as_of=as_of)
