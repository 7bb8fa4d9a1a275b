"""Step 2, who is asked for nothing: those under an age.

A person turns an age when the day of the birthday begins in UTC+8; who was born on 29 February, where there is none, on
1 March.
"""

from datetime import date

from services.common.instants import Instant, start_of_day

_EPOCH = date(1970, 1, 1).toordinal()
_LAST_YEAR = 9999


def turns(born: date, age: int) -> Instant | None:
    """Returns the instant at which a person turns an age; None where the calendar ends before it."""
    year = born.year + age
    if year > _LAST_YEAR:
        return None
    try:
        birthday = born.replace(year=year)
    except ValueError:
        birthday = date(year, 3, 1)
    return start_of_day(birthday.toordinal() - _EPOCH)
