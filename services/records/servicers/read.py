"""Serves RecordReadService over a store."""

from collections.abc import Sequence
from functools import partial

import msgspec
from hutong.common.v1.subject_pb2 import Subject
from hutong.records.v1 import record_read_service_pb2 as pb
from hutong.records.v1.record_pb2 import TestRecord

from services.common.documents import PERSON_KEY_BYTES, PersonKeys
from services.common.errors import DeadlineExceeded, invalid
from services.common.instants import Instant, from_timestamp
from services.common.requests import fields, selections
from services.common.requests.batches import check_batch
from services.common.requests.instants import read_known_at
from services.common.requests.paging import digest, digest_of, page_size, read_token, write_token
from services.common.requests.violations import Violations, refuse
from services.records.domain.decisions import record_not_found
from services.records.domain.purpose_views import narrow
from services.records.domain.revisions import RecordId
from services.records.domain.selection import Selection
from services.records.domain.standing import laboratory_not_found
from services.records.identity import OwnIdentity
from services.records.laboratories import Laboratories
from services.records.replication.completeness import Completeness
from services.records.servicers.batch_answers import BatchAnswers, LaboratoryTables
from services.records.store.protocols.histories import RecordHistories
from services.records.store.protocols.reads import RecordReads
from services.records.store.values.records import LATEST
from services.runtime.clock import Clock
from services.runtime.resilience.turns import Turns
from services.runtime.rpc.call import count_unknown, current_asker, current_call

MOST_TABLES = 16
"""So many versions of the table of laboratories a caller may say it keeps."""
INSTANTS_IN_TURN = 5
"""So many instants of the past are answered in one turn; callers take turns, while what is asked about now does not
wait."""


class _RecordPosition(msgspec.Struct, array_like=True):
    """The end of a page of one person's records. `known_at` stands for the knowledge of the first page."""

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
        self._answers = BatchAnswers(reads, laboratories, completeness, identity, clock)
        self._identity = identity
        self._keys = keys
        self._clock = clock
        self._turns = Turns()

    def _keys_of(self, subjects: Sequence[Subject], field: str, violations: Violations) -> list[bytes]:
        keys: list[bytes] = []
        for number, subject in enumerate(subjects):
            key = subject.person_key
            if len(key) != PERSON_KEY_BYTES:
                key = violations.read(b"", partial(self._keys.of_subject, subject, f"{field}[{number}]"))
            keys.append(key)
        return keys

    async def BatchListRecords(self, request: pb.BatchListRecordsRequest) -> pb.BatchListRecordsResponse:
        """Returns many people's records."""
        check_batch(len(request.subjects), "subjects")
        violations = Violations()
        keys = self._keys_of(request.subjects, "subjects", violations)
        violations.refuse()
        if request.HasField("known_at") and request.HasField("asked_at"):
            raise invalid(
                "asked_at", "ASKED_AT_NOT_ALLOWED", "不能同时指明已知时刻", "Either known_at or asked_at is given"
            )
        tables, selection = _tables(request), _selection(request)
        if request.HasField("known_at"):
            return await self._answers.as_known(
                keys, read_known_at(request.known_at), tables, selection, request.purpose
            )
        asked_at = read_known_at(request.asked_at, "asked_at") if request.HasField("asked_at") else None
        with self._turns.light():
            return await self._answers.now(keys, asked_at, tables, selection, request.purpose)

    async def BatchListRecordsAtInstants(
        self, request: pb.BatchListRecordsAtInstantsRequest
    ) -> pb.BatchListRecordsAtInstantsResponse:
        """Returns many people's records at several instants. Ends with DEADLINE_EXCEEDED when its time is over: nobody
        waits for the rest."""
        check_batch(len(request.questions), "questions")
        check_batch(sum(len(question.subjects) for question in request.questions), "questions")
        violations = Violations()
        asked: list[tuple[Instant, list[bytes]]] = []
        for number, question in enumerate(request.questions):
            field = f"questions[{number}]"
            known_at = violations.read(Instant(0), partial(read_known_at, question.known_at, f"{field}.known_at"))
            violations.read(None, partial(check_batch, len(question.subjects), f"{field}.subjects"))
            asked.append((known_at, self._keys_of(question.subjects, f"{field}.subjects", violations)))
        violations.refuse()
        tables, selection = _tables(request), _selection(request)
        response = pb.BatchListRecordsAtInstantsResponse()
        call = current_call()
        for start in range(0, len(asked), INSTANTS_IN_TURN):
            async with self._turns.heavy(current_asker()):
                for known_at, keys in asked[start : start + INSTANTS_IN_TURN]:
                    if call.remaining() <= 0:
                        raise DeadlineExceeded()
                    response.answers.append(
                        await self._answers.as_known(keys, known_at, tables, selection, request.purpose)
                    )
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
        if not records:
            count_unknown(1)
        if position is not None:
            after = (-position.placed_at, position.region, position.source_id)
            records = [record for record in records if (-record.placed_at, record.region, record.source_id) > after]
        page, rest = records[:size], records[size:]
        token = ""
        if rest:
            last = page[-1]
            token = write_token(question, _RecordPosition(known_at, last.placed_at, last.region, last.source_id))
        records_told = [TestRecord.FromString(record.body) for record in page]
        narrow(records_told, request.purpose)
        return pb.ListRecordsResponse(
            records=records_told,
            next_page_token=token,
            identity=self._identity.of_feed(people.feed_id),
        )

    async def GetRecordHistory(self, request: pb.GetRecordHistoryRequest) -> pb.GetRecordHistoryResponse:
        """Returns every revision of one record. Raises NotFound (RECORD_NOT_FOUND)."""
        refuse(fields.region(request.region) + fields.source_id(request.source_id))
        revisions = await self._histories.history(RecordId(request.region, request.source_id))
        if not revisions:
            raise record_not_found()
        revisions_told = [TestRecord.FromString(body) for body in revisions]
        narrow(revisions_told, request.purpose)
        return pb.GetRecordHistoryResponse(
            revisions=revisions_told,
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


def _selection(request: pb.BatchListRecordsRequest | pb.BatchListRecordsAtInstantsRequest) -> Selection | None:
    if not request.HasField("selection"):
        return None
    message = request.selection
    refuse(selections.selection(message))
    return Selection(from_timestamp(message.since), message.newest, message.clearing, tuple(message.own_regions))


def _tables(
    request: pb.BatchListRecordsRequest | pb.BatchListRecordsAtInstantsRequest,
) -> LaboratoryTables | None:
    if not request.HasField("known_laboratories"):
        return None
    check_batch(len(request.known_laboratories.versions) + 1, "known_laboratories.versions", MOST_TABLES + 1)
    return LaboratoryTables(request.known_laboratories)
