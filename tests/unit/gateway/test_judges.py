"""Replicas of the verdict service that differ are noticed; an upgrade is not taken for that."""

import logging

import pytest
from hutong.verdict.v1.verdict_service_pb2 import Judge

from gateway.codes.judges import Judges
from services.common.instants import SECOND, Instant, from_timestamp, parse_rfc3339, to_timestamp

NOW = parse_rfc3339("2022-08-05T12:00:00+08:00")


def _judge(digest: bytes = b"one", version: str = "1", ahead: int = 0) -> Judge:
    return Judge(version=version, policies_digest=digest, clock=to_timestamp(Instant(NOW + ahead)))


def _noticed(judges: list[Judge], caplog: pytest.LogCaptureFixture, apart: int = 10 * SECOND) -> list[str]:
    """Sees one judge after the other, so long apart; returns what was logged."""
    seen = Judges()
    with caplog.at_level(logging.ERROR, "hutong.gateway.judges"):
        for number, judge in enumerate(judges):
            now = Instant(NOW + number * apart)
            judge.clock.CopyFrom(to_timestamp(Instant(from_timestamp(judge.clock) + number * apart)))
            seen.see(judge, now, now)
    return sorted(record.__dict__["differ_in"] for record in caplog.records)


def test_replicas_with_other_policies_are_noticed_once(caplog: pytest.LogCaptureFixture) -> None:
    """They take turns in answering, for minutes."""
    assert _noticed([_judge(b"two" if number % 2 else b"one") for number in range(20)], caplog) == ["POLICIES"]


def test_replicas_of_other_software_are_noticed(caplog: pytest.LogCaptureFixture) -> None:
    """And told apart from those with other policies."""
    assert _noticed([_judge(version=f"{number % 2}") for number in range(20)], caplog) == ["SOFTWARE"]


def test_an_upgrade_and_new_policies_take_their_time(caplog: pytest.LogCaptureFixture) -> None:
    """For a minute the old and the new answer in turns; then the old does not come back."""
    rolling = [_judge(b"two", f"{number % 2}") for number in range(7)]
    changes = [_judge(b"one", "0"), *rolling, *[_judge(b"two", "1") for _ in range(20)], _judge(b"three", "1")]
    assert _noticed(changes, caplog) == []


@pytest.mark.parametrize(
    ("ahead", "noticed"), [(0, []), (SECOND, []), (2 * SECOND, ["CLOCK"]), (-3 * SECOND, ["CLOCK"])]
)
def test_a_clock_that_is_off_is_noticed(ahead: int, noticed: list[str], caplog: pytest.LogCaptureFixture) -> None:
    """By more than a second beyond the time between question and answer."""
    assert _noticed([_judge(ahead=ahead)], caplog) == noticed
