"""The quick way through a batch comes to the same as the long one."""

from google.protobuf.timestamp_pb2 import Timestamp
from hutong.common.v1.subject_pb2 import Document, DocumentType, Subject
from hutong.records.v1.record_pb2 import Channel, Origin, RecordContent, RecordKind, Tube
from hutong.records.v1.record_pb2 import TestRecord as Record
from hutong.records.v1.record_pb2 import TestResult as Outcome
from hutong.records.v1.record_write_service_pb2 import Correction, RecordSubmission
from hypothesis import given
from hypothesis import strategies as st

from services.common.documents import PersonKeys
from services.common.instants import MINUTE, SECOND, Instant
from services.common.requests.violations import violation
from services.records.domain.content import digest
from services.records.domain.intake import Judge
from services.records.domain.revisions import FirstRevision, RecordId, first
from tests.testkit.secret import SECRET

NOW = Instant(1_660_000_000 * SECOND)
KEYS = PersonKeys(SECRET.encode())


def regions(region: str):
    """Two regions are kept."""
    return [] if region in ("430000", "110000") else violation("region", "REGION_NOT_KEPT", "不", "no")


timestamps = st.none() | st.builds(
    Timestamp,
    seconds=st.sampled_from([-1, 0, 1, 1_659_999_000, 1_660_000_000, 1_660_000_601, 2**40]),
    nanos=st.sampled_from([0, 1, 999, 1000, 999_999_999, -1, 1_000_000_000]),
)
contents = st.builds(
    RecordContent,
    kind=st.sampled_from([*RecordKind.values(), 7]),
    sampled_at=timestamps,
    reported_at=timestamps,
    result=st.sampled_from([*Outcome.values(), 9]),
    tube=st.sampled_from([*Tube.values(), 3]),
    laboratory=st.sampled_from(["430000-xiangya", "", "J-j", "j"]),
    site=st.sampled_from(["430102", "43010", ""]),
    channel=st.sampled_from([*Channel.values(), 8]),
    origin=st.none() | st.builds(Origin, region=st.sampled_from(["110000", "430000", ""])),
)
plausible = st.builds(
    RecordContent,
    kind=st.sampled_from([1, 2]),
    sampled_at=timestamps,
    reported_at=timestamps,
    result=st.sampled_from([0, 1]),
    tube=st.just(1),
    laboratory=st.sampled_from(["430000-xiangya", "e1234567"]),
    site=st.just("430102"),
    channel=st.just(1),
)
subjects = st.one_of(
    st.builds(Subject, person_key=st.sampled_from([b"k" * 16, b"k", b""])),
    st.just(Subject(document=Document(type=DocumentType.DOCUMENT_TYPE_RESIDENT_ID, number="11010519491231002X"))),
    st.just(Subject(document=Document(type=DocumentType.DOCUMENT_TYPE_RESIDENT_ID, number="110105194912310021"))),
    st.just(Subject(document=Document(type=DocumentType.DOCUMENT_TYPE_PASSPORT, number="e1234567"))),
    st.sampled_from(["e 1234567", "Ｅ１２３４５６７"]).map(
        lambda number: Subject(document=Document(type=DocumentType.DOCUMENT_TYPE_PASSPORT, number=number))
    ),
    st.just(Subject()),
)
submissions = st.builds(
    RecordSubmission,
    region=st.sampled_from(["430000", "110000", "440000", ""]),
    source_id=st.sampled_from(
        ["S1", "样本-1", "", " S", "s-e1234567", "Ｅ１２３４５６７", "11010519491231002x", "x" * 65, "字" * 64]
    ),
    subject=subjects,
    content=st.none() | plausible | contents,
    correction=st.none()
    | st.builds(Correction, kind=st.sampled_from([0, 1, 2, 9]), cause=st.sampled_from(["更正", ""])),
)


@given(st.lists(submissions, max_size=6))
def test_the_quick_way_comes_to_what_the_long_way_does(batch):
    """Row by row the same record or the same violations, whatever rows came before in the batch."""
    judge = Judge(KEYS, regions, 10 * MINUTE)
    long_way = [judge._thorough(asked, NOW) for asked in batch]
    assert long_way == judge.judge(batch, NOW) == judge.judge(batch, NOW)


@given(plausible)
def test_a_row_is_the_revision_that_a_single_submission_makes(content):
    """Body, digest and place are those of `revisions.first`."""
    asked = RecordSubmission(
        region="430000", source_id="样本-1", subject=Subject(person_key=b"k" * 16), content=content
    )
    (row,) = Judge(KEYS, regions, 10 * MINUTE).judge([asked], NOW)
    if isinstance(row, list):
        return
    assert isinstance(row, FirstRevision)
    made = first(RecordId("430000", "样本-1"), b"k" * 16, content, digest(content))
    assert (made.person_key, made.placed_at, made.laboratory, made.digest) == (
        row.person_key,
        row.placed_at,
        row.laboratory,
        row.digest,
    )
    assert Record.FromString(made.body) == Record.FromString(row.body)
