"""Days since test (核酸天数), as Beijing counts them: calendar days in UTC+8 from the sampling day, which is day 0; the
display turns over at 24:00. Where no sampling time is known, a report issued in the small hours counts as sampled the
day before (Beijing, from 2022-07-02: between 00:00 and 06:00, 06:00 itself no longer).

The last day of a window may be held (Beijing, from 2022-07-04): who shows "3 days" and was sampled that day goes on
showing 3, and being recognised, on the next day, until the result comes.
"""

from collections.abc import Sequence

from msgspec import Struct

from services.common.instants import Instant, calendar_day, start_of_day, time_of_day
from services.verdict.domain.evidence.values import Record, Result, Test

AWAITED, NEGATIVE = Result.AWAITED, Result.NEGATIVE


class HeldDay(Struct, frozen=True, gc=False):
    """The last day, held: by this negative and this sample, until then."""

    negative: Test
    sample: Test
    until: Instant


class DaysSince(Struct, frozen=True, gc=False):
    """The days shown, the record they are counted from, when they turn over, and how they are held, if they are."""

    days: int
    record: Record
    turns_at: Instant
    held: HeldDay | None = None


class DayCount(Struct, frozen=True):
    """A region's rule. `own_records` only: results from elsewhere count after the holder claimed them. `night_until` is
    in microseconds since midnight, 0 where there is no such rule. `held_day` is the day that is held, 0 for none."""

    own_records: bool
    night_until: int
    held_day: int = 0

    def sampling_day(self, test: Test) -> int:
        """Returns the number of the day on which the sample counts as taken."""
        day = calendar_day(test.taken_at)
        if test.content.sampled_at is None and time_of_day(test.taken_at) < self.night_until:
            return day - 1
        return day

    def since(self, tests: Sequence[Test], region: str, at: Instant) -> DaysSince | None:
        """Returns the days since the newest negative that counts for it; None when there is none. `tests` are newest
        first."""
        newest: tuple[int, Record, Test] | None = None
        for test in tests:
            if newest is not None and calendar_day(test.taken_at) <= newest[0]:
                break
            if test.result != NEGATIVE:
                continue
            record = self._counted_record(test, region)
            if record is None:
                continue
            day = self.sampling_day(test)
            if newest is None or day > newest[0]:
                newest = (day, record, test)
        if newest is None:
            return None
        today = calendar_day(at)
        day, record, negative = newest
        held = self._held(negative, day, today, tests, region) if self.held_day else None
        days = today - day if held is None else self.held_day
        return DaysSince(days, record, start_of_day(today + 1), held)

    def _counted_record(self, test: Test, region: str) -> Record | None:
        if not self.own_records:
            return test.records[0]
        return next((record for record in test.records if record.region == region), None)

    def _held(self, negative: Test, day: int, today: int, tests: Sequence[Test], region: str) -> HeldDay | None:
        last_day = day + self.held_day
        if today not in (last_day, last_day + 1):
            return None
        held: HeldDay | None = None
        for test in tests:
            if (
                test.result == AWAITED
                and self.sampling_day(test) == last_day
                and self._counted_record(test, region) is not None
            ):
                end = start_of_day(last_day + 2)
                until = end if test.reports_at is None else min(end, test.reports_at)
                if held is None or until > held.until:
                    held = HeldDay(negative, test, until)
        return held
