"""Serves RecordReadService over a store."""

from collections.abc import Sequence
from functools import partial

import msgspec
from hutong.common.v1.subject_pb2 import Purpose, Subject
from hutong.records.v1 import record_read_service_pb2 as pb
from hutong.records.v1.record_pb2 import TestRecord

from services.common.documents import PERSON_KEY_BYTES, PersonKeys
from services.common.errors import invalid
from services.common.instants import Instant, to_timestamp
from services.common.requests import fields
from services.common.requests.batches import check_batch
from services.common.requests.instants import read_known_at
from services.common.requests.paging import digest, digest_of, page_size, read_token, write_token
from services.common.requests.violations import Violations, refuse
from services.records.domain.decisions import record_not_found
from services.records.domain.revisions import RecordId
from services.records.domain.standing import laboratory_not_found
from services.records.identity import OwnIdentity
from services.records.laboratories import Laboratories
from services.records.replication.completeness import Completeness
from services.records.servicers import message_bytes
from services.records.store.protocols.histories import RecordHistories
from services.records.store.protocols.reads import RecordReads
from services.records.store.values.records import LATEST
from services.runtime.clock import Clock


class _RecordPosition(msgspec.Struct, array_like=True):
    """Where a page of one person's records ended. `known_at` stands for the knowledge of the first page."""

    known_at: int
    placed_at: int
    region: str
    source_id: str


class ReadServicer:
    """Serves hutong.records.v1.RecordReadService."""

    def __init__(
        self,
        reads: RecordReads,
        histories: RecordHistories,
        laboratories: Laboratories,
        completeness: Completeness,
        identity: OwnIdentity,
        keys: PersonKeys,
        clock: Clock,
    ) -> None:
        self._reads = reads
        self._histories = histories
        self._laboratories = laboratories
        self._completeness = completeness
        self._identity = identity
        self._keys = keys
        self._clock = clock

    def _person_keys(self, subjects: Sequence[Subject]) -> list[bytes]:
        keys: list[bytes] = []
        violations = Violations()
        for number, subject in enumerate(subjects):
            key = subject.person_key
            if len(key) != PERSON_KEY_BYTES:
                key = violations.read(b"", partial(self._keys.of_subject, subject, f"subjects[{number}]"))
            keys.append(key)
        violations.refuse()
        return keys

    async def BatchListRecords(self, request: pb.BatchListRecordsRequest) -> pb.BatchListRecordsResponse:
        """Returns many people's records; each stored row is parsed once, as part of the whole answer."""
        check_batch(len(request.subjects), "subjects")
        keys = self._person_keys(request.subjects)
        if request.HasField("known_at") and request.HasField("asked_at"):
            raise invalid(
                "asked_at", "ASKED_AT_NOT_ALLOWED", "不能同时指明已知时刻", "Either known_at or asked_at is given"
            )
        known_at, said_at = LATEST, None
        if request.HasField("known_at"):
            known_at = said_at = read_known_at(request.known_at)
        elif request.HasField("asked_at"):
            said_at = max(read_known_at(request.asked_at, "asked_at"), await self._completeness.look())
        if said_at is not None:
            await self._reads.settle(said_at, self._clock())
        as_of, behind = self._completeness.as_of(), self._completeness.behind()
        # Who compares takes what is missing for lost: nothing may be missing because a replica lags.
        compared = request.purpose == Purpose.PURPOSE_REPLICATION
        people = await self._reads.people(keys, known_at, original=compared)
        if people.as_of is not None:
            as_of = min(as_of, people.as_of)
        await self._laboratories.refresh(people.laboratories)
        parts: list[bytes] = []
        seen: set[str] = set()
        for key in keys:
            records = people.records.get(key, ())
            parts.append(message_bytes.person(key, [record.body for record in records]))
            seen.update([record.laboratory for record in records])
        standings = self._laboratories.of(seen, known_at)
        parts += [message_bytes.laboratory(standing.body) for standing in standings]
        response = pb.BatchListRecordsResponse.FromString(b"".join(parts))
        if said_at is not None:
            if known_at == LATEST:
                # What arrived after it was asked, or by a clock that is ahead, is part of the answer.
                arrived = [record.arrived_at for records in people.records.values() for record in records]
                said_at = max([said_at, *arrived, *[standing.arrived_at for standing in standings]])
            response.known_at.CopyFrom(to_timestamp(said_at))
            as_of, behind = await self._completeness.at(said_at)
            if people.as_of is not None:
                as_of = min(as_of, people.as_of)
        response.as_of.CopyFrom(to_timestamp(as_of))
        response.behind.extend(behind)
        if people.purged_before:
            response.purged_before.CopyFrom(to_timestamp(people.purged_before))
        response.identity.CopyFrom(self._identity.of_feed(people.feed_id))
        return response

    async def ListRecords(self, request: pb.ListRecordsRequest) -> pb.ListRecordsResponse:
        """Returns one person's records, a page at a time; all pages show what was known when the first was read."""
        size = page_size(request.page_size)
        key = self._keys.of_subject(request.subject, "subject")
        asked = read_known_at(request.known_at) if request.HasField("known_at") else None
        question = digest(key, asked)
        position = None
        known_at = self._clock() if asked is None else asked
        if request.page_token:
            position = read_token(request.page_token, question, _RecordPosition)
            known_at = Instant(position.known_at)
        people = await self._reads.people([key], LATEST if asked is None and position is None else known_at)
        records = list(people.records.get(key, ()))
        if position is not None:
            after = (-position.placed_at, position.region, position.source_id)
            records = [record for record in records if (-record.placed_at, record.region, record.source_id) > after]
        page, rest = records[:size], records[size:]
        token = ""
        if rest:
            last = page[-1]
            token = write_token(question, _RecordPosition(known_at, last.placed_at, last.region, last.source_id))
        return pb.ListRecordsResponse(
            records=[TestRecord.FromString(record.body) for record in page],
            next_page_token=token,
            identity=self._identity.of_feed(people.feed_id),
        )

    async def GetRecordHistory(self, request: pb.GetRecordHistoryRequest) -> pb.GetRecordHistoryResponse:
        """Returns every revision of one record. Raises NotFound (RECORD_NOT_FOUND)."""
        refuse(fields.region(request.region) + fields.source_id(request.source_id))
        revisions = await self._histories.history(RecordId(request.region, request.source_id))
        if not revisions:
            raise record_not_found()
        return pb.GetRecordHistoryResponse(
            revisions=[TestRecord.FromString(body) for body in revisions],
            identity=self._identity.of_feed(await self._laboratories.refresh_to_end()),
        )

    async def GetLaboratory(self, request: pb.GetLaboratoryRequest) -> pb.GetLaboratoryResponse:
        """Returns one laboratory with its standing. Raises NotFound (LABORATORY_NOT_FOUND)."""
        refuse(fields.laboratory_id(request.laboratory))
        feed_id = await self._laboratories.refresh_to_end()
        standing = self._laboratories.at(request.laboratory, LATEST)
        if standing is None:
            raise laboratory_not_found()
        return pb.GetLaboratoryResponse(laboratory=standing.laboratory, identity=self._identity.of_feed(feed_id))

    async def ListLaboratories(self, request: pb.ListLaboratoriesRequest) -> pb.ListLaboratoriesResponse:
        """Returns the laboratories of the store, a page at a time."""
        size = page_size(request.page_size)
        question = digest_of(request)
        after = read_token(request.page_token, question, str) if request.page_token else ""
        feed_id = await self._laboratories.refresh_to_end()
        ids = self._laboratories.ids_after(after, size + 1)
        page = self._laboratories.of(ids[:size], LATEST)
        return pb.ListLaboratoriesResponse(
            laboratories=[standing.laboratory for standing in page],
            next_page_token=write_token(question, ids[size - 1]) if len(ids) > size else "",
            identity=self._identity.of_feed(feed_id),
        )
