"""Rows as batches of the contract, and a batch's outcomes as what became of each row. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from google.protobuf.timestamp_pb2 import Timestamp
from hutong.common.v1.subject_pb2 import Document, Subject
from hutong.records.v1.intake_service_pb2 import ListedRow, StreamRecordsRequest, StreamRecordsResponse
from hutong.records.v1.record_pb2 import Channel, RecordContent, RecordKind, TestResult
from hutong.records.v1.record_write_service_pb2 import CorrectionKind, RecordSubmission, SubmitOutcome

from cli.laboratory_files.columns import Column, Layout
from cli.laboratory_files.refusals import Refusal
from cli.laboratory_files.samples import DeclaredCorrection, Notes, Sample
from services.common.errors import Text, Violation
from services.common.instants import SECOND, to_timestamp

BATCH_ROWS = 2_000
"""Rows sent in one batch; the contract allows 5,000. What waits after Ctrl-C is a few of them."""
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
    "correction.kind": Column.CORRECTION,
    "correction.cause": Column.CORRECTION_CAUSE,
}


class Rows(Protocol):
    """A file of any format, row by row. `layout` has its own names for the columns."""

    @property
    def layout(self) -> Layout:
        """The places of the columns."""

    @property
    def notes(self) -> Notes:
        """Tells what was passed over and cleaned while the rows were read."""

    def __iter__(self) -> Iterator[Sample | Refusal]:
        """Yields the rows in their order."""


@dataclass(frozen=True, slots=True)
class Destination:
    """The destination of the rows: the region that keeps them (GB/T 2260), the laboratory's id within the mesh, and the
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


class _Kind(NamedTuple):
    """A message, and the parts of it that differ from row to row."""

    submission: RecordSubmission
    document: Document
    sampled_at: Timestamp
    reported_at: Timestamp


def request(number: int, samples: Iterable[Sample], destination: Destination) -> StreamRecordsRequest:
    """These rows as the batch of this number.

    Rows of a laboratory are alike in all but the sample, the person and the times, so a message is made for every kind
    there is, changed in these and copied: a fifth of the price of making each. It lasts a batch and no longer: protobuf
    keeps every text that was ever put into a message as long as the message.
    """
    message = StreamRecordsRequest(batch=number)
    append = message.submissions.append
    kinds: dict[tuple[int, int, int, bool, bool], _Kind] = {}
    for sample in samples:
        _, sample_id, document_type, document_number, sampled_at, reported_at, result, tube, correction = sample
        if correction is not None:
            append(_corrected(sample, correction, destination))
            continue
        key = document_type, result, tube, sampled_at is None, reported_at is None
        kind = kinds.get(key)
        if kind is None:
            kind = kinds[key] = _kind(sample, destination)
        kind.submission.source_id = sample_id
        kind.document.number = document_number
        if sampled_at is not None:
            kind.sampled_at.seconds, micros = divmod(sampled_at, SECOND)
            kind.sampled_at.nanos = micros * 1000
        if reported_at is not None:
            kind.reported_at.seconds, micros = divmod(reported_at, SECOND)
            kind.reported_at.nanos = micros * 1000
        append(kind.submission)
    return message


def _kind(sample: Sample, destination: Destination) -> _Kind:
    reported = sample.result != TestResult.TEST_RESULT_UNSPECIFIED
    submission = RecordSubmission(
        region=destination.region,
        subject=Subject(document=Document(type=sample.document_type)),
        content=RecordContent(
            kind=RecordKind.RECORD_KIND_RESULT if reported else RecordKind.RECORD_KIND_SAMPLING,
            result=sample.result,
            tube=sample.tube,
            laboratory=destination.laboratory,
            site=destination.site,
            channel=Channel.CHANNEL_LABORATORY,
            sampled_at=None if sample.sampled_at is None else Timestamp(),
            reported_at=None if sample.reported_at is None else Timestamp(),
        ),
    )
    content = submission.content
    return _Kind(submission, submission.subject.document, content.sampled_at, content.reported_at)


def _corrected(sample: Sample, correction: DeclaredCorrection, destination: Destination) -> RecordSubmission:
    """Returns a row that corrects what was said before; one that withdraws has no content."""
    submission = _kind(sample, destination).submission
    submission.source_id, submission.subject.document.number = sample.sample_id, sample.document_number
    submission.correction.kind, submission.correction.cause = correction
    if correction.kind == CorrectionKind.CORRECTION_KIND_RETRACTION:
        submission.ClearField("content")
        return submission
    if sample.sampled_at is not None:
        submission.content.sampled_at.CopyFrom(to_timestamp(sample.sampled_at))
    if sample.reported_at is not None:
        submission.content.reported_at.CopyFrom(to_timestamp(sample.reported_at))
    return submission


def _column(path: str, layout: Layout) -> str:
    column = _COLUMN_OF_FIELD.get(path)
    return path if column is None else layout.headers.get(column, path)


def _refusal(sample: Sample, outcome: ListedRow, layout: Layout) -> Refusal:
    violations = tuple(
        Violation(_column(violation.field, layout), violation.reason, Text(violation.message.zh, violation.message.en))
        for violation in outcome.violations
    )
    return Refusal(sample.row, violations)


_BAD = frozenset({SubmitOutcome.SUBMIT_OUTCOME_REFUSED, SubmitOutcome.SUBMIT_OUTCOME_CONFLICT})


def refused(samples: Sequence[Sample], response: StreamRecordsResponse, layout: Layout) -> list[Refusal]:
    """The rows the store did not take: refused, or in conflict with what it holds."""
    return [_refusal(samples[listed.row], listed, layout) for listed in response.rows if listed.outcome in _BAD]
