"""Asks lookup, after a start, until it has answered once: a gateway that cannot reach it was set up wrongly."""

import logging

from hutong.lookup.v1.region_directory_service_pb2 import ListRegionsRequest

from gateway.ports import Regions
from services.common.errors import ServiceError
from services.runtime.resilience.backoff import Backoff

log = logging.getLogger("hutong.readiness")

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 1.0


class FirstContact:
    """The first contact with lookup. `trouble` says why there was none yet, and is empty from then on."""

    def __init__(self, regions: Regions) -> None:
        self._regions = regions
        self.trouble = "not asked yet"

    async def run(self) -> None:
        """Asks until there is an answer, and then no more."""
        backoff = Backoff(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
        while self.trouble:
            try:
                await self._regions.ListRegions(ListRegionsRequest())
                self.trouble = ""
            except ServiceError as error:
                self.trouble = error.reason
                log.warning("lookup not reached yet: %s", error)
                await backoff.wait()
