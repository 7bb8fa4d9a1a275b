"""Remembers which record stores are down: in metrics, in the log, and for questions about the past."""

import logging

from services.lookup.evidence.outages import Outages
from services.lookup.metrics import DOWN
from services.runtime.resilience.breaker import Breaker, Probe

log = logging.getLogger("hutong.lookup.source")


def source_breaker(source: str, probe: Probe, outages: Outages) -> Breaker:
    """Returns the breaker of one source, which tells `outages` when it goes down and comes back."""
    gauge = DOWN.labels(source)
    gauge.set(0)

    def went_down() -> None:
        log.warning("source is down", extra={"source": source})
        gauge.set(1)
        outages.went_down(source)

    def came_back() -> None:
        log.info("source is back", extra={"source": source})
        gauge.set(0)
        outages.came_back(source)

    return Breaker(probe, went_down=went_down, came_back=came_back)
