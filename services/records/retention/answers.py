"""Forgets the answers to requests when nobody asks again."""

import asyncio
import logging

from services.common.errors import ServiceError
from services.common.instants import SECOND, Instant
from services.records.store.protocols.intake_sessions import AnswerLog
from services.runtime.clock import Clock

log = logging.getLogger("hutong.records.retention")

EVERY_SECONDS = 3600.0


class AnswerRetention:
    """Deletes answers and intake sessions that are older than `kept_seconds`."""

    def __init__(self, store: AnswerLog, clock: Clock, kept_seconds: float) -> None:
        self._store = store
        self._clock = clock
        self._kept = round(kept_seconds * SECOND)

    async def run(self) -> None:
        """Deletes without end, every hour; a store that cannot be asked is asked again next time."""
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            try:
                await self._store.forget_answers(Instant(self._clock() - self._kept))
            except ServiceError as error:
                log.warning("forgetting answers: %s", error)
