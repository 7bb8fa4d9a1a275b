"""Rows as batches of the contract, and a batch's outcomes as what became of each row. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from uuid import UUID, uuid5

from hutong.common.v1.subject_pb2 import Purpose, Subject
from hutong.records.v1.record_pb2 import Channel, RecordContent, RecordKind, TestResult
from hutong.records.v1.record_write_service_pb2 import (
    BatchSubmitRecordsRequest,
    BatchSubmitRecordsResponse,
    RecordSubmission,
    RowOutcome,
    SubmitOutcome,
)

from cli.laboratory_files.columns import Column, Layout
from cli.laboratory_files.rows import Refusal, Sample
from services.common.errors import Text, Violation
from services.common.instants import to_timestamp

BATCH_ROWS = 500
"""Rows sent in one call; the contract allows 1,000."""
_BATCH_LINES = 5_000

_COLUMN_OF_FIELD = {
    "source_id": Column.SAMPLE_ID,
    # A conflict is about the whole record, or its person: in a file, about the id that stands for another one.
    "content": Column.SAMPLE_ID,
    "subject": Column.SAMPLE_ID,
    "subject.document.type": Column.DOCUMENT_TYPE,
    "subject.document.number": Column.DOCUMENT_NUMBER,
    "content.sampled_at": Column.SAMPLED_AT,
    "content.reported_at": Column.REPORTED_AT,
    "content.result": Column.RESULT,
    "content.tube": Column.TUBE,
}


@dataclass(frozen=True, slots=True)
class Destination:
    """Whose records they become: the region that keeps them (GB/T 2260), the laboratory's id within the mesh, and the
    place of sampling (GB/T 2260, 6 digits)."""

    region: str
    laboratory: str
    site: str


@dataclass(slots=True)
class Batch:
    """Consecutive rows of a file: those to send, and those that were refused already."""

    samples: list[Sample] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)


def batches(rows: Iterable[Sample | Refusal]) -> Iterator[Batch]:
    """The rows in their order, up to BATCH_ROWS to send in each batch."""
    batch = Batch()
    for row in rows:
        if isinstance(row, Sample):
            batch.samples.append(row)
        else:
            batch.refusals.append(row)
        if len(batch.samples) >= BATCH_ROWS or len(batch.refusals) >= _BATCH_LINES:
            yield batch
            batch = Batch()
    if batch.samples or batch.refusals:
        yield batch


def _submission(sample: Sample, destination: Destination) -> RecordSubmission:
    reported = sample.result != TestResult.TEST_RESULT_UNSPECIFIED
    content = RecordContent(
        kind=RecordKind.RECORD_KIND_RESULT if reported else RecordKind.RECORD_KIND_SAMPLING,
        result=sample.result,
        tube=sample.tube,
        laboratory=destination.laboratory,
        site=destination.site,
        channel=Channel.CHANNEL_LABORATORY,
        sampled_at=None if sample.sampled_at is None else to_timestamp(sample.sampled_at),
        reported_at=None if sample.reported_at is None else to_timestamp(sample.reported_at),
    )
    return RecordSubmission(
        region=destination.region,
        source_id=sample.sample_id,
        subject=Subject(document=sample.document()),
        content=content,
    )


def request(samples: Sequence[Sample], destination: Destination, run: UUID) -> BatchSubmitRecordsRequest:
    """The call that submits these rows, of which there is at least one.

    Its request_id follows from the run and the row it begins with: a retry gets the first answer. Another run of the
    same file asks anew, and is told what is stored by then; the rows' content keeps it from doubling anything.
    """
    return BatchSubmitRecordsRequest(
        submissions=[_submission(sample, destination) for sample in samples],
        purpose=Purpose.PURPOSE_RECORD_KEEPING,
        request_id=str(uuid5(run, str(samples[0].row))),
    )


def _column(path: str, layout: Layout) -> str:
    column = _COLUMN_OF_FIELD.get(path)
    return path if column is None else layout.headers[column]


def _refusal(sample: Sample, outcome: RowOutcome, layout: Layout) -> Refusal:
    violations = tuple(
        Violation(_column(found.field, layout), found.reason, Text(found.message.zh, found.message.en))
        for found in outcome.violations
    )
    return Refusal(sample.row, violations)


_BAD = frozenset({SubmitOutcome.SUBMIT_OUTCOME_REFUSED, SubmitOutcome.SUBMIT_OUTCOME_CONFLICT})


def refused(samples: list[Sample], response: BatchSubmitRecordsResponse, layout: Layout) -> list[Refusal]:
    """The rows the store did not take: refused, or in conflict with what it holds."""
    return [
        _refusal(sample, outcome, layout)
        for sample, outcome in zip(samples, response.rows, strict=True)
        if outcome.outcome in _BAD
    ]
