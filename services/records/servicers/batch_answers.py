"""Makes the answers about many people: their records, the standing of laboratories, and how complete both are."""

from collections.abc import Mapping, Sequence

from hutong.common.v1.subject_pb2 import Purpose
from hutong.records.v1 import record_read_service_pb2 as pb

from services.common.instants import Instant, to_timestamp
from services.records.domain.purpose_views import narrow
from services.records.domain.selection import Selection
from services.records.identity import OwnIdentity
from services.records.laboratories import Laboratories, LaboratoryRevision
from services.records.replication.completeness import Completeness
from services.records.servicers import message_bytes
from services.records.store.protocols.reads import RecordReads
from services.records.store.values.records import LATEST, People
from services.runtime.clock import Clock
from services.runtime.rpc.call import count_unknown


def _wants_original(purpose: Purpose.ValueType) -> bool:
    """Tells whether the database that is written is asked, and not a replica that may lag: who compares takes what is
    missing for lost."""
    return purpose == Purpose.PURPOSE_REPLICATION


class LaboratoryTables:
    """The tables of laboratories that one caller keeps, by version; each further one is sent to it once."""

    def __init__(self, known: pb.KnownLaboratories) -> None:
        self._versions = {0, *known.versions}

    def take(self, version: int) -> bool:
        """Tells whether the caller lacks a version, and notes that it is sent."""
        lacking = version not in self._versions
        self._versions.add(version)
        return lacking


class BatchAnswers:
    """Answers about many people from one store. `clock` gives the present instant."""

    def __init__(
        self,
        reads: RecordReads,
        laboratories: Laboratories,
        completeness: Completeness,
        identity: OwnIdentity,
        clock: Clock,
    ) -> None:
        self._reads = reads
        self._laboratories = laboratories
        self._completeness = completeness
        self._identity = identity
        self._clock = clock

    async def now(
        self,
        keys: Sequence[bytes],
        asked_at: Instant | None,
        tables: LaboratoryTables | None,
        selection: Selection | None,
        purpose: Purpose.ValueType,
    ) -> pb.BatchListRecordsResponse:
        """Returns what is known now. With `asked_at`, the caller's present, the answer names the least instant, not
        before it, as known at which the same is said again. Raises Unavailable."""
        said_at = None
        if asked_at is not None:
            said_at = max(asked_at, await self._completeness.look())
            await self._reads.settle(said_at, self._clock())
        as_of, behind = self._completeness.as_of(), self._completeness.behind()
        people = await self._reads.people(keys, LATEST, original=_wants_original(purpose), selection=selection)
        await self._laboratories.refresh(people.laboratories)
        response, standings = self._response(keys, people, LATEST, tables, purpose)
        if said_at is not None:
            # What arrived after it was asked, or by a clock that is ahead, is part of the answer.
            arrived = [record.arrived_at for records in people.records.values() for record in records]
            arrived += [standing.arrived_at for standing in standings]
            if tables is not None:
                arrived.append(self._laboratories.latest)
            said_at = max([said_at, *arrived])
            response.known_at.CopyFrom(to_timestamp(said_at))
            as_of, behind = await self._completeness.at(said_at)
        self._complete(response, people, as_of, behind)
        return response

    async def as_known(
        self,
        keys: Sequence[bytes],
        known_at: Instant,
        tables: LaboratoryTables | None,
        selection: Selection | None,
        purpose: Purpose.ValueType,
    ) -> pb.BatchListRecordsResponse:
        """Returns what was known at an instant, the same whenever it is asked. Raises Unavailable."""
        await self._reads.settle(known_at, self._clock())
        people = await self._reads.people(keys, known_at, original=_wants_original(purpose), selection=selection)
        await self._laboratories.refresh(people.laboratories)
        response, _ = self._response(keys, people, known_at, tables, purpose)
        response.known_at.CopyFrom(to_timestamp(known_at))
        as_of, behind = await self._completeness.at(known_at)
        self._complete(response, people, as_of, behind)
        return response

    def _response(
        self,
        keys: Sequence[bytes],
        people: People,
        known_at: Instant,
        tables: LaboratoryTables | None,
        purpose: Purpose.ValueType,
    ) -> tuple[pb.BatchListRecordsResponse, list[LaboratoryRevision]]:
        parts: list[bytes] = []
        appearing: set[str] = set()
        count_unknown(sum(not people.records.get(key) for key in set(keys)))
        for key in keys:
            records = people.records.get(key, ())
            parts.append(message_bytes.person(key, [record.body for record in records], people.left_out.get(key, {})))
            appearing.update([record.laboratory for record in records])
        version = 0
        if tables is None:
            standings = self._laboratories.of(appearing, known_at)
        else:
            version = self._laboratories.version(known_at)
            standings = self._laboratories.all(known_at) if tables.take(version) else []
        parts += [message_bytes.laboratory(standing.body) for standing in standings]
        # Each stored row is parsed once, as part of the whole answer.
        response = pb.BatchListRecordsResponse.FromString(b"".join(parts))
        for person in response.people:
            narrow(person.records, purpose)
        response.laboratories_version = version
        return response, standings

    def _complete(
        self, response: pb.BatchListRecordsResponse, people: People, as_of: Instant, behind: Mapping[str, Instant]
    ) -> None:
        if people.as_of is not None:
            as_of = min(as_of, people.as_of)
        response.as_of.CopyFrom(to_timestamp(as_of))
        response.behind.extend(behind)
        response.behind_as_of.extend([to_timestamp(known) for known in behind.values()])
        if people.purged_before:
            response.purged_before.CopyFrom(to_timestamp(people.purged_before))
        response.identity.CopyFrom(self._identity.of_feed(people.feed_id))
