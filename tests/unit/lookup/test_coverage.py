"""The coverage of a source that is asked more than once for a batch tells the worst answer."""

from collections.abc import Sequence

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from services.common.regions import NATION
from services.lookup.evidence.fan_out import FanOut
from services.lookup.evidence.sources import OK, UNREACHABLE, SourceAnswer

HUNAN = "430000"
DOWN = SourceAnswer(HUNAN, UNREACHABLE)


class Sources:
    """The nation is down; Hunan gives the answers it is told to, in the order in which it is asked."""

    def __init__(self, hunan: Sequence[SourceAnswer]) -> None:
        self._hunan = iter(hunan)

    async def ask(self, source: str, *_: object) -> SourceAnswer:
        """The next answer."""
        return SourceAnswer(NATION, UNREACHABLE) if source == NATION else next(self._hunan)


def answered(seconds: int) -> SourceAnswer:
    """An answer as of an instant."""
    return SourceAnswer(HUNAN, OK, as_of=Timestamp(seconds=seconds))


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([answered(10), answered(20)], (OK, 10)),
        ([answered(20), answered(10)], (OK, 10)),
        ([answered(10), DOWN], (UNREACHABLE, 0)),
        ([DOWN, answered(10)], (UNREACHABLE, 0)),
        ([DOWN, DOWN], (UNREACHABLE, 0)),
        ([], (UNREACHABLE, 0)),
    ],
)
async def test_a_source_has_answered_when_it_answered_every_time(answers, expected):
    """One answer of two is no answer: "not found" would be told of those whom the other was about. Of two answers, the
    older instant counts."""
    asked = FanOut(Sources(answers), (HUNAN,), None)  # type: ignore[arg-type]  # what it uses of them
    await asked.ask(NATION, [], 1.0)
    for _ in answers:
        await asked.ask(HUNAN, [], 1.0)
    coverage = {one.source: (one.status, one.as_of.seconds) for one in asked.view(HUNAN).common.coverage}
    assert {HUNAN: expected, NATION: (UNREACHABLE, 0)} == coverage
