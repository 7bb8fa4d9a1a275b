"""Asks lookup who it is, after a start, until it has said once that it is this mesh's: a verdict service that cannot
reach it, or reaches another mesh's, was set up wrongly."""

import logging

from hutong.lookup.v1.region_directory_service_pb2 import ListRegionsRequest

from services.common.errors import ServiceError
from services.common.identities import ExpectedStore
from services.runtime.resilience.backoff import Backoff
from services.runtime.rpc.call import enter, leave, within
from services.verdict.ports import RegionDirectory

log = logging.getLogger("hutong.readiness")

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 1.0
ANSWER_SECONDS = 5.0


class FirstContact:
    """The first contact with lookup. A verdict service without it is not ready, so that a rollout with a wrong address
    or secret stops at its first pod; from then on nothing that lookup does takes it out of service."""

    def __init__(self, directory: RegionDirectory, lookup: ExpectedStore) -> None:
        """`lookup` is the one that is meant."""
        self._directory = directory
        self._lookup = lookup
        self._trouble = "not asked yet"

    async def ping(self) -> None:
        """Raises RuntimeError until lookup has answered once."""
        if self._trouble:
            raise RuntimeError(self._trouble)

    async def run(self) -> None:
        """Asks until there is an answer, and then no more."""
        backoff = Backoff(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
        while self._trouble:
            try:
                await self._ask()
                self._trouble = ""
            except ServiceError as error:
                self._trouble = error.reason
                log.warning("lookup not reached yet: %s: %s", error.reason, error)
                await backoff.wait()

    async def _ask(self) -> None:
        token = enter(within(ANSWER_SECONDS))
        try:
            response = await self._directory.ListRegions(ListRegionsRequest(page_size=1))
        finally:
            leave(token)
        # A lookup of a former version does not say; each of its answers with evidence does, and is checked.
        if response.HasField("identity"):
            self._lookup.check(response.identity)
