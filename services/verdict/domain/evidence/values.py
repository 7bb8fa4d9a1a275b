"""Evidence as values. Numbers of the enumerations are those of the contracts.

Instants are microseconds since the epoch, UTC (`services.common.instants`). Values that can be part of no cycle are
none of the garbage collector's business (`gc=False`): one verdict makes dozens.
"""

from datetime import date
from enum import IntEnum

from msgspec import Struct

from services.common.instants import Instant


class Scope(IntEnum):
    """The evidence that counts for a person: the region's own store, or everything known anywhere."""

    LOCAL = 1
    NATIONAL = 2


class Kind(IntEnum):
    """The kinds of records: a sample was taken, or a result was reported."""

    SAMPLING = 1
    RESULT = 2


class Result(IntEnum):
    """The outcome of a test; AWAITED where there is none yet. INCONCLUSIVE neither helps nor harms."""

    AWAITED = 0
    NEGATIVE = 1
    POSITIVE = 2
    INCONCLUSIVE = 3


class Tube(IntEnum):
    """The number of people who share a tube, by the pool's size."""

    SINGLE = 1
    POOL_5 = 5
    POOL_10 = 10
    POOL_20 = 20


class Channel(IntEnum):
    """The way a record reached the region that keeps it."""

    LABORATORY = 1
    NATIONAL_PLATFORM = 2
    HEALTH_CODE = 3
    CERTIFICATE = 4
    PAPER = 5


class Scene(IntEnum):
    """The kinds of place at which a person may be checked; NONE is the health code itself."""

    NONE = 0
    HOSPITAL = 1
    CARE_HOME = 2
    SCHOOL = 3
    CHILDCARE = 4
    HOTEL = 5
    RESTAURANT = 6
    SHOP = 7
    MARKET = 8
    METRO = 9
    BUS = 10
    RAILWAY = 11
    AIRPORT = 12
    COACH_STATION = 13
    ENTERTAINMENT = 14
    SPORTS = 15
    SIGHTS = 16
    WORKPLACE = 17
    RESIDENTIAL = 18
    PRISON = 19


class Check(Struct, frozen=True):
    """The place where a person is checked, and the date of birth that their document tells; None when unknown. The date
    is used and kept nowhere."""

    scene: int = Scene.NONE
    born: date | None = None


class Origin(Struct, frozen=True, gc=False):
    """The origin of a copy. `source_id` is empty where the presenter could not tell, `revision` 0 where unknown."""

    region: str
    source_id: str = ""
    revision: int = 0


class Record(Struct, frozen=True, kw_only=True, gc=False):
    """The current revision of one record, kept by `region` under `source_id`."""

    region: str
    source_id: str
    kind: int
    tube: int
    channel: int
    laboratory: str
    revision: int = 1
    result: int = 0
    sampled_at: Instant | None = None
    reported_at: Instant | None = None
    origin: Origin | None = None
    retracted: bool = False
    recorded_at: Instant | None = None


class Interval(Struct, frozen=True, gc=False):
    """Half open: start <= instant < end; None leaves a side open."""

    start: Instant | None = None
    end: Instant | None = None

    def contains(self, instant: Instant) -> bool:
        """Tells if the instant lies in it."""
        return (self.start is None or self.start <= instant) and (self.end is None or instant < self.end)


class Suspension(Struct, frozen=True):
    """Samples taken in the interval are void from `recorded_at` on, until `lifted_at` when that is known."""

    sampled: Interval
    recorded_at: Instant | None = None
    lifted_at: Instant | None = None


class Laboratory(Struct, frozen=True):
    """A laboratory's in_force. No accredited interval at all limits nothing."""

    laboratory: str
    accredited: tuple[Interval, ...] = ()
    suspensions: tuple[Suspension, ...] = ()


ANY_REGION = ""
"""In `Evidence.left_out`: of whatever region."""


class LeftOut(Struct, frozen=True, gc=False):
    """The part that a selection left out: something from before an instant, so many records without retracted ones; or,
    with `at_least`, so many or more."""

    before: Instant
    records: int
    at_least: bool = False


NOTHING_LEFT_OUT = LeftOut(Instant(0), 0)


class Evidence(Struct, frozen=True, kw_only=True):
    """The evidence about one person for a verdict in one region.

    Records are of all sources whatever the scope, for what counts against a person ignores scope. Coverage says of each
    source, a region's code or "nation", whether it answered; `known_until` of one that did not, up to when what was
    recorded there is among the records all the same, where that is known. `left_out` tells what is missing where a
    selection was given: of a region or, under ANY_REGION, of any.
    """

    region: str
    scope: int
    records: tuple[Record, ...] = ()
    laboratories: dict[str, Laboratory] = {}
    coverage: dict[str, bool] = {}
    known_until: dict[str, Instant] = {}
    left_out: dict[str, LeftOut] = {}


class Test(Struct, frozen=True, kw_only=True, gc=False):
    """One admitted test as it stood at the instant judged, with all records of it.

    `content` is the record whose content holds; `records` are all that tell of the test, in the order in which grounds
    name them. `origin_region` is the region the test comes from. `taken_at` is its sampling time, or its report time
    where the sampling time is unknown. `result` is AWAITED until the report; `reports_at` then says when, if that is
    known already.
    """

    identity: tuple[str, str]
    origin_region: str
    content: Record
    records: tuple[Record, ...]
    taken_at: Instant
    result: int
    reported_at: Instant | None = None
    reports_at: Instant | None = None
