"""The verdict as values. Numbers of the enumerations are those of the contracts.

Instants are microseconds since the epoch, UTC (`services.common.instants`).
"""

from enum import IntEnum

from msgspec import Struct

from services.common.errors import Text
from services.common.instants import Instant
from services.verdict.domain.evidence.values import Record, Test


class Status(IntEnum):
    """The answer, the same words in every region."""

    RECOGNISED = 1
    NOT_RECOGNISED = 2
    PENDING = 3
    POSITIVE = 4
    RETEST_REQUIRED = 5
    UNDETERMINED = 6
    NOT_REQUIRED = 7


class Colour(IntEnum):
    """The colour that a region shows for a status."""

    GREEN = 1
    YELLOW = 2
    ORANGE = 3
    RED = 4
    GREY = 5


class NoticeOutcome(IntEnum):
    """The part of the national notice in a verdict: none, the ground of recognition, or refused although it binds."""

    NONE = 0
    ENFORCED = 1
    REFUSAL = 2


NATIONAL_NOTICE = "NATIONAL_NOTICE"
OPEN_POSITIVE = "OPEN_POSITIVE"
POSITIVE_POOL = "POSITIVE_POOL"
AWAITING_RESULT = "AWAITING_RESULT"
HELD_DAY = "HELD_DAY"
NOTHING_REQUIRED = "NOTHING_REQUIRED"
EXEMPT_BY_AGE = "EXEMPT_BY_AGE"


class Ground(Struct, frozen=True, gc=False):
    """The ground on which a test is recognised, or what stands against the person."""

    clause: str
    text: Text
    evidence: tuple[Record, ...]
    valid_until: Instant | None = None


class Reason(Struct, frozen=True, gc=False):
    """The reason why evidence fell short, or a clause was not met. `clause` is empty where it is not about one, `text`
    None where a reason before it says the same words. `ended_at` is when the window of the evidence ended."""

    code: str
    text: Text | None
    clause: str = ""
    evidence: Record | None = None
    ended_at: Instant | None = None


class ReasonCount(Struct, frozen=True, gc=False):
    """The number of further reasons of one code about one clause, about older evidence than those that are given; with
    `at_least`, the least that there are."""

    code: str
    clause: str
    count: int
    text: Text | None = None
    at_least: bool = False


class PolicyRef(Struct, frozen=True):
    """Names the policy that judged."""

    region: str
    policy_id: str
    content_hash: bytes
    effective_from: Instant


class Verdict(Struct, frozen=True, kw_only=True):
    """The answer for one person in one region at one instant; see the contract's message of the same name.

    `newest` is the newest admitted test within the scope, as it stood at the instant judged. `scene` is the number of
    the scene asked about, 0 for the health code itself.
    """

    region: str
    scope: int
    at: Instant
    computed_at: Instant
    status: Status
    colour: Colour
    policy: PolicyRef
    grounds: tuple[Ground, ...] = ()
    reasons: tuple[Reason, ...] = ()
    days_since_test: int | None = None
    days_evidence: Record | None = None
    valid_until: Instant | None = None
    fresh_until: Instant | None = None
    notice: NoticeOutcome = NoticeOutcome.NONE
    national_would_recognise: bool = False
    laboratories: tuple[str, ...] = ()
    newest: Test | None = None
    scene: int = 0
    judged_by_scene_rules: bool = False
    further_reasons: tuple[ReasonCount, ...] = ()
