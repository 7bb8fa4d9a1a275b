"""What the coverage says of a source that is asked more than once for a batch."""

import time
from collections.abc import Mapping, Sequence

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hutong.common.v1.subject_pb2 import Purpose
from hutong.lookup.v1.evidence_service_pb2 import Evidence
from hutong.lookup.v1.region_pb2 import Scope

from services.lookup.domain.directory import NATION, Directory
from services.lookup.evidence import Gatherer, Question
from services.lookup.sources import OK, UNREACHABLE, Answer

HUNAN, GUANGDONG = "430000", "440000"
ONE, OTHER = b"1" * 16, b"2" * 16


class Sources:
    """The nation is down; each region gives the answers it is told to, in the order in which it is asked."""

    def __init__(self, answers: Mapping[str, Sequence[Answer]]) -> None:
        self._answers = {source: iter(given) for source, given in answers.items()}

    async def ask(self, source: str, *_: object) -> Answer:
        """The next answer."""
        return Answer(NATION, UNREACHABLE) if source == NATION else next(self._answers[source])


class Nobody:
    """No person has more than one document."""

    async def people(self, keys: Sequence[bytes]) -> dict[bytes, object]:
        """Nothing is known."""
        return {}


def answered(source: str, seconds: int) -> Answer:
    """An answer as of an instant."""
    return Answer(source, OK, as_of=Timestamp(seconds=seconds))


async def coverage(hunan: Sequence[Answer]) -> list[dict[str, tuple[int, int]]]:
    """Source to status and `as_of`, for a person asked about in Hunan and another in Guangdong: while the nation is
    down, each region is asked for its own and for the other's."""
    sources = Sources({HUNAN: hunan, GUANGDONG: [answered(GUANGDONG, 50), answered(GUANGDONG, 60)]})
    directory = Directory([HUNAN, GUANGDONG, NATION])
    gatherer = Gatherer(directory, Nobody(), sources, 1.0)  # type: ignore[arg-type]  # what it uses of them
    deadline = time.monotonic() + 60
    targets = [Evidence(), Evidence()]
    questions = [
        Question(key, region, Scope.SCOPE_NATIONAL, None, deadline)
        for key, region in ((ONE, HUNAN), (OTHER, GUANGDONG))
    ]
    await gatherer.fill(Purpose.PURPOSE_SHOW_CODE, questions, targets)
    return [{one.source: (one.status, one.as_of.seconds) for one in target.coverage} for target in targets]


DOWN = Answer(HUNAN, UNREACHABLE)


@pytest.mark.parametrize(
    ("hunan", "expected"),
    [
        ([answered(HUNAN, 10), answered(HUNAN, 20)], (OK, 10)),
        ([answered(HUNAN, 20), answered(HUNAN, 10)], (OK, 10)),
        ([answered(HUNAN, 10), DOWN], (UNREACHABLE, 0)),
        ([DOWN, answered(HUNAN, 10)], (UNREACHABLE, 0)),
        ([DOWN, DOWN], (UNREACHABLE, 0)),
    ],
)
async def test_a_source_has_answered_when_it_answered_every_time(hunan, expected):
    """One answer of two is no answer: "not found" would be told of those whom the other was about. Of two answers, the
    older instant counts."""
    for found in await coverage(hunan):
        assert {HUNAN: expected, GUANGDONG: (OK, 50), NATION: (UNREACHABLE, 0)} == found
