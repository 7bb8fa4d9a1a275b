"""Keeps the laboratories of a store in memory with all their revisions: they are few, change seldom, and stand in each
answer. The store tells with every read of records how far its laboratories have come, so the copy here is never stale.
"""

import asyncio
from bisect import bisect_right, insort
from collections.abc import Iterable
from hashlib import blake2b
from itertools import accumulate
from typing import NamedTuple

from hutong.records.v1.laboratory_pb2 import Laboratory

from services.common.instants import Instant, from_timestamp
from services.records.store.protocols.laboratories import LaboratoryLog
from services.records.store.protocols.reads import RecordReads


class LaboratoryRevision(NamedTuple):
    """One revision of a laboratory, the instant of its arrival in this store, and its serialised form."""

    revision: int
    arrived_at: Instant
    laboratory: Laboratory
    body: bytes


class Laboratories:
    """Laboratories by id. The messages are shared: nobody may change one."""

    def __init__(self, log: LaboratoryLog, reads: RecordReads) -> None:
        self._log = log
        self._reads = reads
        # By id, and then by region: see standing.kept_as.
        self._known: dict[str, dict[str, list[LaboratoryRevision]]] = {}
        # Of each revision in order of arrival its instant and digest; versions name the table before and after each.
        self._arrivals: list[Instant] = []
        self._digests: list[int] = []
        self._versions = [0]
        self._sequence = 0
        self._reading = asyncio.Lock()

    async def refresh(self, sequence: int) -> None:
        """Reads what is new, when the store's laboratories have come as far as `sequence`."""
        if sequence <= self._sequence:
            return
        async with self._reading:
            for row in await self._log.laboratories(self._sequence):
                laboratory = Laboratory.FromString(row.body)
                # A commit older than marks has no arrival of its own.
                arrived_at = row.arrived_at or from_timestamp(laboratory.recorded_at)
                arrived = LaboratoryRevision(laboratory.revision, Instant(arrived_at), laboratory, row.body)
                namesakes = self._known.setdefault(laboratory.laboratory, {})
                insort(namesakes.setdefault(laboratory.region, []), arrived, key=lambda known: known.revision)
                place = bisect_right(self._arrivals, arrived.arrived_at)
                self._arrivals.insert(place, arrived.arrived_at)
                self._digests.insert(place, int.from_bytes(blake2b(row.body, digest_size=8).digest()))
                self._sequence = row.sequence
            # A sum, so that the order in which revisions of one instant were read does not matter.
            self._versions = list(accumulate(self._digests, lambda total, digest: (total + digest) % 2**64, initial=0))

    async def refresh_to_end(self) -> str:
        """Reads whatever is new; returns the id of the feed that it stands in."""
        people = await self._reads.people((), Instant(0))
        await self.refresh(people.laboratories)
        return people.feed_id

    def at(self, laboratory: str, known_at: Instant) -> LaboratoryRevision | None:
        """Returns a laboratory as known at an instant, of namesakes the first; None when none was registered then."""
        return next(iter(self._namesakes(laboratory, known_at)), None)

    def of(self, ids: Iterable[str], known_at: Instant) -> list[LaboratoryRevision]:
        """Returns those of these laboratories that were known at an instant, by id; namesakes of several regions all of
        them, in the order in which they came."""
        return [revision for i in sorted(ids) for revision in self._namesakes(i, known_at)]

    def all(self, known_at: Instant) -> list[LaboratoryRevision]:
        """Returns the whole table as known at an instant, by id."""
        return self.of(self._known, known_at)

    def version(self, known_at: Instant) -> int:
        """Returns what names the whole table as known at an instant: 64 bits, 0 for an empty one."""
        return self._versions[bisect_right(self._arrivals, known_at)]

    @property
    def latest(self) -> Instant:
        """The instant of the latest arrival; 0 where there was none."""
        return self._arrivals[-1] if self._arrivals else Instant(0)

    def _namesakes(self, laboratory: str, known_at: Instant) -> list[LaboratoryRevision]:
        namesakes: list[LaboratoryRevision] = []
        for revisions in self._known.get(laboratory, {}).values():
            for revision in reversed(revisions):
                if revision.arrived_at <= known_at:
                    namesakes.append(revision)
                    break
        return namesakes

    def ids_after(self, laboratory: str, most: int) -> list[str]:
        """Returns up to `most` ids that follow one in order."""
        return sorted(i for i in self._known if i > laboratory)[:most]
