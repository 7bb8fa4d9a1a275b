"""A played case asks again where a running source was not heard, as on a busy machine; no other answer is excused."""

from typing import Any, cast

import pytest

from tests.testkit.golden import scenario
from tests.testkit.golden.clients import Answer, HealthCodeClient
from tests.testkit.golden.scenario import RunningMesh, Scenario

EXPECTED = {"status": "RECOGNISED", "coverage": {"nation": "UNREACHABLE", "430000": "OK"}}
RIGHT: Answer = dict(EXPECTED)
UNHEARD: Answer = {"status": "UNDETERMINED", "coverage": {"nation": "UNREACHABLE", "430000": "UNREACHABLE"}}
STEPS: list[dict[str, Any]] = [
    {"stop": "nation"},
    {"show": {"region": "110000", "at": "2022-08-09T12:00:00+08:00"}, "expect": EXPECTED},
]


class _Mesh:
    async def stop(self, name: str) -> None:
        """Nothing runs."""

    async def start(self, name: str) -> None:
        """Nothing runs."""


class _Client:
    """Gives these answers, one after another, then the last for ever; about nobody, that the nation is back."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)

    async def show(self, person: Any, region: str, **options: Any) -> Answer:
        if len(self.answers) == 1:
            return self.answers[0]
        return self.answers.pop(0)


def _scenario(*answers: Answer) -> Scenario:
    # The nation starts again at the end of each play.
    back: Answer = {**RIGHT, "coverage": {"nation": "OK"}}
    return Scenario(cast(RunningMesh, _Mesh()), cast(HealthCodeClient, _Client(*answers, back)), "salt")


async def test_who_did_not_hear_a_running_source_is_asked_again() -> None:
    """Its second may be over on a busy machine; the right answer comes with the next question."""
    await _scenario(UNHEARD, UNHEARD, RIGHT).take(STEPS)


@pytest.mark.parametrize(
    "answer",
    [
        {**UNHEARD, "status": "NOT_RECOGNISED"},
        {**UNHEARD, "coverage": RIGHT["coverage"]},
    ],
    ids=["an outage told as no test", "undetermined though everybody who runs was heard"],
)
async def test_every_other_answer_is_wrong_at_once(answer: Answer) -> None:
    """Though the right one would come next."""
    with pytest.raises(AssertionError, match="step 2"):
        await _scenario(answer, RIGHT).take(STEPS)


async def test_who_never_hears_a_running_source_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a while, it is not the machine."""
    monkeypatch.setattr(scenario, "_UNHEARD_SECONDS", 0.2)
    with pytest.raises(AssertionError, match="step 2"):
        await _scenario(*[UNHEARD] * 100, RIGHT).take(STEPS)
