"""The digests of the policies in force, asked for each second."""

import asyncio
import logging
import time
from collections.abc import Mapping

from hutong.verdict.v1.policy_service_pb2 import GetPolicyDigestsRequest

from gateway.ports import VerdictSource
from services.common.errors import ServiceError
from services.common.regions import NATION
from services.runtime.rpc.call import enter, leave, within

log = logging.getLogger("hutong.policies")

POLL_SECONDS = 1.0


class PolicyDigests:
    """The digests last told, and how old they are."""

    def __init__(self, verdicts: VerdictSource) -> None:
        self._verdicts = verdicts
        self._told_at = float("-inf")
        self._digests: dict[str, bytes] = {}
        self.trouble = "not asked yet"
        """What was wrong when they were last asked for; empty when nothing was."""

    def of(self, region: str) -> bytes | None:
        """The digest of a region's policies as last told; None for a region without."""
        return self._digests.get(region)

    @property
    def told(self) -> bool:
        """Tells if they were ever told."""
        return self._told_at > float("-inf")

    def recent(self, seconds: float) -> bool:
        """Tells if they were told no longer ago than this."""
        return time.monotonic() - self._told_at <= seconds

    async def regions(self) -> list[str]:
        """The regions that have a policy, by code. Raises ServiceError when that was never told and cannot be."""
        if not self._digests:
            await self.poll()
        return sorted(region for region in self._digests if region != NATION)

    async def poll(self) -> None:
        """Asks once. Raises ServiceError."""
        asked_at = time.monotonic()
        try:
            response = await self._verdicts.GetPolicyDigests(GetPolicyDigestsRequest())
        except ServiceError as error:
            self.trouble = error.reason
            raise
        digests: Mapping[str, bytes] = response.digests
        self._digests = dict(digests)
        self._told_at = asked_at
        self.trouble = ""

    async def keep(self) -> None:
        """Asks each second, forever."""
        while True:
            before = self.trouble
            token = enter(within(2 * POLL_SECONDS))
            try:
                await self.poll()
            except ServiceError as error:
                if before != self.trouble:
                    log.warning("policies cannot be asked for", extra={"reason": error.reason})
            finally:
                leave(token)
            await asyncio.sleep(POLL_SECONDS)
