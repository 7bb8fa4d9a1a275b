"""Lines of the log that repeat themselves back off, and say how much was left out; failed requests are said each."""

import logging
from collections.abc import Mapping

import pytest

from services.runtime.telemetry.repetition import EACH, FIRST_PAUSE, LONGEST_PAUSE, MOST_KEPT, Repetition


class Clock:
    """A clock that is set."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def record(
    name: str = "hutong.lookup.source", level: int = logging.WARNING, message: str = "source is down", **extra: str
) -> logging.LogRecord:
    """Returns a record as a logger makes it."""
    return logging.makeLogRecord({"name": name, "levelno": level, "levelname": "X", "msg": message, **extra})


def test_an_outage_is_said_at_once_and_then_ever_more_seldom():
    """A warning a tenth of a second for sixteen minutes is some twenty lines, which say how many they stand for."""
    clock = Clock()
    repetition = Repetition(clock)
    written, stood_for = [], 0
    for tenth in range(9_600):
        clock.now = tenth / 10
        one = record()
        if repetition.filter(one):
            written.append(clock.now)
            stood_for += 1 + one.__dict__.get("left_out", 0)
    assert 0 == written[0]
    assert FIRST_PAUSE <= written[1] <= FIRST_PAUSE + 0.2
    assert 15 <= len(written) <= 30
    assert 9_600 - stood_for <= LONGEST_PAUSE * 10


def test_another_source_is_another_line():
    """Also when the words are the same."""
    repetition = Repetition(Clock())
    assert [True, True, False] == [
        repetition.filter(record(source=source)) for source in ("110000", "nation", "110000")
    ]


def test_after_a_while_it_is_news_again():
    """A second outage begins as the first did."""
    clock = Clock()
    repetition = Repetition(clock)
    assert [True, False] == [repetition.filter(record()), repetition.filter(record())]
    clock.now = 3 * LONGEST_PAUSE + FIRST_PAUSE
    assert repetition.filter(record())
    clock.now += FIRST_PAUSE + 0.1
    assert repetition.filter(record())


def test_what_is_no_warning_is_left_alone():
    """Each line of information is one."""
    repetition = Repetition(Clock())
    assert all(repetition.filter(record(level=logging.INFO)) for _ in range(5))


@pytest.mark.parametrize(
    ("extra", "passes"),
    [
        ({"reason": "SERVICE_UNREACHABLE"}, 5),
        ({"reason": "DOCUMENT_NUMBER_CHECK"}, 5),
        ({"reason": "LIMIT_EXCEEDED"}, 1),
        ({"reason": "OVERLOADED"}, 1),
    ],
)
def test_every_failed_request_is_said_unless_somebody_floods(extra: Mapping[str, str], passes: int):
    """Each has a trace id that may be quoted; of those that are refused for being too many, a few."""
    repetition = Repetition(Clock())
    lines = [record(EACH, logging.INFO, "request failed", **extra) for _ in range(5)]
    assert passes == sum(repetition.filter(line) for line in lines)


def test_at_a_terminal_failed_requests_back_off_too():
    """The file has each of them."""
    repetition = Repetition(Clock(), each=False)
    lines = [record(EACH, logging.WARNING, "request failed", reason="SERVICE_UNREACHABLE") for _ in range(5)]
    assert 1 == sum(repetition.filter(line) for line in lines)


def test_an_unexpected_error_keeps_its_line_and_loses_its_stack():
    """The stack is the same each time; the trace is not."""
    repetition = Repetition(Clock())
    lines = [record(level=logging.ERROR, message="unexpected error") for _ in range(3)]
    for line in lines:
        line.exc_info = (ValueError, ValueError(), None)
        assert repetition.filter(line)
    assert [True, False, False] == [bool(line.exc_info) for line in lines]


def test_only_so_many_lines_are_remembered():
    """The oldest goes."""
    repetition = Repetition(Clock())
    assert all(repetition.filter(record(message=str(number))) for number in range(MOST_KEPT + 1))
    assert repetition.filter(record(message="0"))
