"""A slice of the campaign that `python -m tests.testkit.fuzz` runs with 100,000 inputs."""

from pathlib import Path

import pytest

from services.runtime.access.contracts import methods
from tests.testkit.fuzz import fuzz
from tests.testkit.fuzzing.places import leaks
from tests.testkit.fuzzing.values import NUMBERS

INPUTS = 1_000


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_no_input_meets_an_error_of_ours_or_leaves_a_number_behind(tmp_path: Path) -> None:
    """Every request of every contract and every path, right and wrong."""
    findings = await fuzz(tmp_path / "mesh", INPUTS)
    assert [] == findings.wrong
    assert findings.inputs >= INPUTS
    assert findings.inputs > len(dict(methods()))
    assert {"OK", "INVALID_ARGUMENT", "HTTP 200", "HTTP 400", "HTTP 401", "HTTP 404", "schemathesis"} <= set(
        findings.outcomes
    )


def test_a_number_that_stands_somewhere_is_noticed(tmp_path: Path) -> None:
    """In a file, however deep, and in what is given by name."""
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "mesh.log").write_text(f"somebody asked for {NUMBERS[0]}")
    found = list(leaks(tmp_path, {"metrics": f'x{{who="{NUMBERS[1]}"}} 1'.encode(), "traces": b""}))
    assert [f"logs/mesh.log: {NUMBERS[0]}", f"metrics: {NUMBERS[1]}"] == found
