"""Entries of the verdict cache."""

from gateway.codes.cache.entry import Entry
from services.common.instants import HOUR
from services.runtime.clock import system_clock

LAB = "430000-xiangya"


def entry(version: int = 1, *, standing: int = 0, laboratories: tuple[str, ...] = (LAB,)) -> Entry:
    """An entry whose body says which version of the evidence it was computed from."""
    now = system_clock()
    return Entry(
        body=b"%d" % version,
        message=b"",
        region="110000",
        scope=2,
        status=1,
        computed_at=now,
        fresh_until=now + HOUR,
        valid_until=now + 2 * HOUR,
        laboratories=laboratories,
        standing=standing,
        digest=b"d",
    )
