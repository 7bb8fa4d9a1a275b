"""Records what a run saw when FAULT_RECORD names a file: a line for each test, which `tests.testkit.faults.page` takes.

`tests/conftest.py` takes the fixture and the hook from here.
"""

import json
import os
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bench.machine import describe

_PROPERTY = "measured"


class Case:
    """One fault of a test: what was seen, how often; how much was lost; for how long, in seconds, something was other
    than it should be."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()
        self.lost = 0
        self.longest: float | None = None

    def saw(self, what: str, times: int = 1) -> None:
        """Counts what was seen."""
        self.seen[what] += times

    def lose(self, count: int) -> None:
        """Counts what was lost or doubled."""
        self.lost += count

    def took(self, seconds: float) -> None:
        """Keeps the longest."""
        self.longest = max(seconds, self.longest or 0.0)


class Measured:
    """The measures of one run of a test, by fault."""

    def __init__(self) -> None:
        self.cases: dict[str, Case] = {}

    def of(self, fault: str = "") -> Case:
        """Returns what is measured of a fault; a test of one fault has no need to name it."""
        return self.cases.setdefault(fault, Case())


@pytest.fixture
def measured(request: pytest.FixtureRequest) -> Iterator[Measured]:
    """Takes what a test of a fault measures."""
    kept = Measured()
    yield kept
    # As plain as it can be: it goes from pytest's workers to the one that writes.
    cases = {name: {**vars(case), "seen": dict(case.seen)} for name, case in kept.cases.items()}
    request.node.user_properties.append((_PROPERTY, cases))


_CALLED: dict[str, pytest.TestReport] = {}
"""The reports of tests whose fixtures have not ended yet."""


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Writes a line for each test that ran, in the one process that hears of all."""
    path = os.environ.get("FAULT_RECORD")
    if not path or "PYTEST_XDIST_WORKER" in os.environ:
        return
    if report.when == "call":
        _CALLED[report.nodeid] = report
    called = _CALLED.get(report.nodeid)
    if report.when != "teardown" or called is None or called.skipped:
        return
    test, _, parameters = report.nodeid.partition("[")
    line = {
        "test": test,
        "parameters": parameters.removesuffix("]"),
        "passed": called.passed and report.passed,
        "seconds": round(called.duration, 1),
        "on": datetime.now(UTC).date().isoformat(),
        "machine": describe(),
        "cases": dict(report.user_properties).get(_PROPERTY, {}),
    }
    with Path(path).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line, ensure_ascii=False) + "\n")
