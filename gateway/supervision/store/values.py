"""The values that a store of supervision holds; days are numbers in the calendar of UTC+8, from 1970-01-01."""

from datetime import date, timedelta
from typing import NamedTuple

from services.common.instants import Instant


def day_text(day: int) -> str:
    """Returns a numbered day as the contract writes it, such as 2022-08-05."""
    return (date(1970, 1, 1) + timedelta(days=day)).isoformat()


class Mark(NamedTuple):
    """One thing to count. What has the same mark is counted once, while the mark is kept: to the day `until`. A mark is
    a keyed digest: it tells nobody whom it is about, and does not link one place to another."""

    mark: bytes
    until: int
    day: int
    region: str
    scene: int
    measure: int


class KeptRefusal(NamedTuple):
    """One refused question, and enough of its answer to tell it from another. `refusal_id` is derived from both, so
    that the same again is the same refusal."""

    refusal_id: bytes
    day: int
    person_key: bytes
    region: str
    scene: int
    scope: int
    status: int
    notice: int
    at: Instant
    known_at: Instant
    first_shown_at: Instant
    policy_id: str
    policy_hash: bytes
    policy_from: Instant
    reasons: str
    """The codes, each once, with commas between."""
    silent: str
    """The sources that did not answer, with commas between."""


class Cell(NamedTuple):
    """One figure."""

    day: int
    region: str
    scene: int
    measure: int
    number: int


class Place(NamedTuple):
    """The key under which the figures of one place on one day stand."""

    day: int
    region: str
    scene: int
