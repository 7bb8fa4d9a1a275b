"""The protocol of a store of supervision, whatever it is made of."""

import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from gateway.supervision.store.values import Cell, KeptRefusal, Mark, Place
from services.common.errors import Unavailable
from services.common.instants import Instant

log = logging.getLogger("hutong.supervision.store")


class SupervisionStore(Protocol):
    """Figures by region, scene and day, and refusals. Several gateways may share one.

    Every method raises Unavailable (STORE_UNAVAILABLE) when the store cannot be used; drivers' errors do not pass.
    """

    async def add(self, marks: Sequence[Mark], refusals: Sequence[KeptRefusal]) -> None:
        """Counts what has a mark that is not kept yet, and keeps the refusals that are not there yet. The same again
        changes nothing; when this returns, all of it is durable."""

    async def figures(self, region: str, first: int, last: int, after: Place, most: int) -> Sequence[Cell]:
        """Returns the figures of at most so many places, of a region or, where it is empty, of all, from one day to
        another, both included, by day, region and scene, of those after a place; all figures of each."""

    async def refusals(
        self, region: str, first: int, last: int, before: tuple[Instant, bytes], most: int
    ) -> Sequence[KeptRefusal]:
        """Returns at most so many refusals of days, newest first, of those before an instant and id."""

    async def refusal(self, refusal_id: bytes) -> KeptRefusal | None:
        """Returns a refusal by its id."""

    async def move_keys(self, after: bytes, most: int, new: Callable[[bytes], bytes]) -> bytes:
        """Puts new person keys in the place of the old ones in at most so many refusals, by id, of those after an id,
        in one transaction. Returns the last id; nothing when there are none after it."""

    async def purge(self, marks_before: int, refusals_before: int) -> None:
        """Deletes marks that are kept to a day before the first given, and refusals of days before the second. Figures
        stay."""

    async def close(self) -> None:
        """Lets go of everything. Safe to call twice."""


def unavailable(error: Exception) -> Unavailable:
    """Returns what a caller sees of a driver's error; the error itself goes to the log."""
    log.warning("the store of supervision failed", extra={"error": f"{type(error).__name__}: {error}"})
    return Unavailable("STORE_UNAVAILABLE", "监督统计库暂不可用", "The store of supervision is not available")
