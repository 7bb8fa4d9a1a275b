"""Brings what earlier programs wrote to the state of what this one writes, a little at a time."""

import asyncio
import logging

from services.common.errors import ServiceError
from services.records.store.protocols.retention import Weighing

log = logging.getLogger("hutong.records.weighing")

AT_ONCE = 200
"""Revisions in one commit: a few milliseconds, for which writers wait."""
PAUSE_SECONDS = 0.05
AGAIN_SECONDS = 10.0
"""After the store could not be asked."""


class EarlierRevisions:
    """Weighs revisions that were written before selections of records were made, until there are none: long pasts of an
    old store then cost what those of a new one do. Killed, it goes on where it was."""

    def __init__(self, store: Weighing) -> None:
        self._store = store

    async def run(self) -> None:
        """Returns when none is left."""
        total = 0
        while True:
            try:
                done = await self._store.weigh(AT_ONCE)
            except ServiceError as error:
                log.warning("weighing earlier revisions: %s", error)
                await asyncio.sleep(AGAIN_SECONDS)
                continue
            if not done:
                break
            total += done
            await asyncio.sleep(PAUSE_SECONDS)
        if total:
            log.info("weighed %d revisions of earlier programs", total)
