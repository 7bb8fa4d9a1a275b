"""Days since test (核酸天数), as Beijing counts them: calendar days in UTC+8 from the sampling day, which is day 0; the
display turns over at 24:00. Where no sampling time is known, a report issued in the small hours counts as sampled the
day before (Beijing, from 2022-07-02: between 00:00 and 06:00, 06:00 itself no longer).
"""

from collections.abc import Sequence

from msgspec import Struct

from services.common.instants import Instant, calendar_day, start_of_day, time_of_day
from services.verdict.domain.evidence.values import Record, Result, Test

NEGATIVE = Result.NEGATIVE


class DaysSince(Struct, frozen=True):
    """The days, the record they are counted from, and when they turn over."""

    days: int
    record: Record
    turns_at: Instant


class DayCount(Struct, frozen=True):
    """A region's rule. `own_records` only: results from elsewhere count after the holder claimed them. `night_until` is
    in microseconds since midnight, 0 where there is no such rule."""

    own_records: bool
    night_until: int

    def sampling_day(self, test: Test) -> int:
        """Returns the number of the day on which the sample counts as taken."""
        day = calendar_day(test.taken_at)
        if test.content.sampled_at is None and time_of_day(test.taken_at) < self.night_until:
            return day - 1
        return day

    def since(self, tests: Sequence[Test], region: str, at: Instant) -> DaysSince | None:
        """Returns the days since the newest negative that counts for it; None when there is none. `tests` are newest
        first."""
        newest: tuple[int, Record] | None = None
        for test in tests:
            if test.result != NEGATIVE:
                continue
            record = _own(test, region) if self.own_records else test.records[0]
            if record is None:
                continue
            day = self.sampling_day(test)
            if newest is None or day > newest[0]:
                newest = (day, record)
        if newest is None:
            return None
        today = calendar_day(at)
        return DaysSince(today - newest[0], newest[1], start_of_day(today + 1))


def _own(test: Test, region: str) -> Record | None:
    return next((record for record in test.records if record.region == region), None)
