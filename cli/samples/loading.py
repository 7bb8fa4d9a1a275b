"""Puts the sample people into a running mesh through its front doors, dated from its start.

Loading twice within the same hour adds nothing; a later start adds records of its own, so that what people are there
to show is always current.
"""

from collections.abc import Callable, Iterable
from typing import Protocol
from uuid import NAMESPACE_URL, uuid5

from hutong.common.v1.subject_pb2 import Purpose, Subject
from hutong.common.v1.text_pb2 import LocalizedText
from hutong.lookup.v1.holder_service_pb2 import LinkDocumentsRequest, LinkDocumentsResponse
from hutong.records.v1.laboratory_pb2 import Interval
from hutong.records.v1.record_pb2 import Origin, RecordContent, RecordKind, TestResult
from hutong.records.v1.record_write_service_pb2 import (
    AmendRecordRequest,
    AmendRecordResponse,
    BatchSubmitRecordsRequest,
    BatchSubmitRecordsResponse,
    PutLaboratoryRequest,
    PutLaboratoryResponse,
    RecordSubmission,
    SubmitOutcome,
    SuspendLaboratoryRequest,
    SuspendLaboratoryResponse,
)

from cli.samples.model import SamplePerson, SampleTest, instant
from cli.samples.people import CONTACT, LABORATORIES, PEOPLE, SUSPENDED_LABORATORY
from services.common.errors import Text
from services.common.instants import HOUR, Instant, parse_rfc3339, to_timestamp

_PURPOSE = Purpose.PURPOSE_RECORD_KEEPING
_TAKEN = frozenset(
    {
        SubmitOutcome.SUBMIT_OUTCOME_CREATED,
        SubmitOutcome.SUBMIT_OUTCOME_UNCHANGED,
        SubmitOutcome.SUBMIT_OUTCOME_RESULT_ADDED,
    }
)


class RecordsDoor(Protocol):
    """A region's write side."""

    async def BatchSubmitRecords(self, request: BatchSubmitRecordsRequest) -> BatchSubmitRecordsResponse:
        """See the contract."""

    async def AmendRecord(self, request: AmendRecordRequest) -> AmendRecordResponse:
        """See the contract."""

    async def PutLaboratory(self, request: PutLaboratoryRequest) -> PutLaboratoryResponse:
        """See the contract."""

    async def SuspendLaboratory(self, request: SuspendLaboratoryRequest) -> SuspendLaboratoryResponse:
        """See the contract."""


class HoldersDoor(Protocol):
    """The holders' part of lookup, as it is called here."""

    async def LinkDocuments(self, request: LinkDocumentsRequest) -> LinkDocumentsResponse:
        """See the contract."""


def start_of_hour(now: Instant) -> Instant:
    """The instant sample people are dated from."""
    return Instant(now // HOUR * HOUR)


def _content(test: SampleTest, start: Instant, result: TestResult.ValueType) -> RecordContent:
    reported = result != TestResult.TEST_RESULT_UNSPECIFIED
    return RecordContent(
        kind=RecordKind.RECORD_KIND_RESULT if reported else RecordKind.RECORD_KIND_SAMPLING,
        sampled_at=None if test.sampled is None else to_timestamp(instant(test.sampled, start)),
        reported_at=None if test.reported is None else to_timestamp(instant(test.reported, start)),
        result=result,
        tube=test.tube,
        laboratory=test.laboratory or f"{test.region}-sample",
        site=test.region,
        channel=test.channel,
        origin=Origin(region=test.origin) if test.origin else None,
    )


def _submission(
    person: SamplePerson, test: SampleTest, start: Instant, result: TestResult.ValueType
) -> RecordSubmission:
    return RecordSubmission(
        region=test.region,
        source_id=test.source_id(person.key, start),
        subject=Subject(document=person.former or person.document),
        content=_content(test, start, result),
    )


class SampleRefusedError(Exception):
    """A store refused a sample record, which is a mistake in the samples."""


async def _submit_region(door: RecordsDoor, tests: list[tuple[SamplePerson, SampleTest]], start: Instant) -> None:
    request = BatchSubmitRecordsRequest(
        submissions=[_submission(person, test, start, test.result) for person, test in tests], purpose=_PURPOSE
    )
    response = await door.BatchSubmitRecords(request)
    for (person, test), row in zip(tests, response.rows, strict=True):
        source_id = test.source_id(person.key, start)
        if test.corrected and row.outcome in _TAKEN and row.revision == 1:
            await door.AmendRecord(
                AmendRecordRequest(
                    region=test.region,
                    source_id=source_id,
                    revision=1,
                    content=_content(test, start, test.corrected),
                    cause="negatives reported as positives / 阴性误报为阳性",
                    purpose=_PURPOSE,
                    request_id=str(uuid5(NAMESPACE_URL, source_id)),
                )
            )
        elif row.outcome == SubmitOutcome.SUBMIT_OUTCOME_REFUSED:
            raise SampleRefusedError(f"{source_id}: {[violation.reason for violation in row.violations]}")
    contradictions = [
        _submission(person, test, start, test.contradicted) for person, test in tests if test.contradicted
    ]
    if contradictions:
        await door.BatchSubmitRecords(BatchSubmitRecordsRequest(submissions=contradictions, purpose=_PURPOSE))


async def _register(door: RecordsDoor, region: str, laboratory: str, name: Text) -> None:
    await door.PutLaboratory(
        PutLaboratoryRequest(
            region=region,
            laboratory=laboratory,
            display_name=LocalizedText(zh=name.zh, en=name.en),
            contact=CONTACT,
            request_id=str(uuid5(NAMESPACE_URL, f"{laboratory}/{CONTACT}")),
        )
    )


async def _suspend(door: RecordsDoor) -> None:
    name = Text("立信医学检验所（样例）", "Lixin Medical Laboratory (sample)")
    await _register(door, SUSPENDED_LABORATORY[:6], SUSPENDED_LABORATORY, name)
    await door.SuspendLaboratory(
        SuspendLaboratoryRequest(
            laboratory=SUSPENDED_LABORATORY,
            suspension_id="sample",
            sampled=Interval(**{"from": to_timestamp(parse_rfc3339("2022-11-01T00:00:00+08:00"))}),
            cause="样例：质量核查不合格 / sample: failed a quality inspection",
            request_id=str(uuid5(NAMESPACE_URL, f"{SUSPENDED_LABORATORY}/suspension")),
        )
    )


async def load_people(
    doors: Callable[[str], RecordsDoor],
    holders: HoldersDoor,
    start: Instant,
    people: Iterable[SamplePerson] = PEOPLE,
) -> int:
    """Loads the people; returns how many records they have. `doors` gives the store that keeps a region's records,
    `start` is what `start_of_hour` gave. Raises ServiceError, or SampleRefusedError."""
    by_region: dict[str, list[tuple[SamplePerson, SampleTest]]] = {}
    for person in people:
        for test in person.tests:
            by_region.setdefault(test.region, []).append((person, test))
    for region, tests in by_region.items():
        door = doors(region)
        await _submit_region(door, tests, start)
        if region in LABORATORIES:
            await _register(door, region, f"{region}-sample", LABORATORIES[region])
        if any(test.laboratory == SUSPENDED_LABORATORY for _, test in tests):
            await _suspend(door)
    for person in people:
        if person.former is not None:
            await holders.LinkDocuments(
                LinkDocumentsRequest(
                    subject=Subject(document=person.document),
                    other=Subject(document=person.former),
                    cause="passport renewed / 护照换新",
                    purpose=Purpose.PURPOSE_REGIONAL_SERVICE,
                )
            )
    return sum(len(tests) for tests in by_region.values())
