"""Rows that are plainly right are read the short way; here the short way and the long one are held together."""

import json
import string

import pytest
from hutong.common.v1.subject_pb2 import Document, DocumentType, Subject
from hutong.records.v1.intake_service_pb2 import StreamRecordsRequest
from hutong.records.v1.record_pb2 import Channel, RecordContent, RecordKind, TestResult, Tube
from hutong.records.v1.record_write_service_pb2 import CorrectionKind, RecordSubmission
from hypothesis import example, given
from hypothesis import strategies as st

from cli.importing.batches import Destination, request
from cli.laboratory_files import json_lines, times
from cli.laboratory_files.json_lines import JsonLinesReader
from cli.laboratory_files.reading import plain
from cli.laboratory_files.refusals import Refusal, RefusedValueError
from cli.laboratory_files.samples import DeclaredCorrection, Sample
from cli.laboratory_files.tables.reader import CsvReader
from cli.samples.model import resident_id
from services.common.instants import Instant, to_timestamp

CHINESE = "样本编号,姓名,证件类型,证件号码,采样时间,报告时间,检测结果,检测方式"
OPTIONAL = ",检测项目,更正,更正原因"
ENGLISH = "sample_id,name,document_type,document_number,sampled_at,reported_at,result,tube"

IDS = [resident_id("430102", "19050505", n) for n in range(3)]
CELLS = st.one_of(
    st.sampled_from(["S1", " S2 ", "=1", "", "居民身份证", "RESIDENT_ID", "护照", "学生证", "E98877538", "阴性", "阴"]),
    st.sampled_from(
        ["NEGATIVE", "10混1", "２０混１", "混检", "SINGLE", "某人", 'a"b', '"a,b"', '"', "\r", "\ufeff", *IDS]
    ),
    st.sampled_from(
        ["2022-08-05 13:20", "2022/8/5 9:05", "2022-08-05T13:20:00+08:00", "2099-13-01 10:00", "2022-08-05"]
    ),
)
DAYS = [
    "2022-08-05",
    "2022/8/5",
    "2022-02-29",
    "1970-01-01",
    "9998-12-31",
    "9999-01-01",
    "0001-01-01",
    "２０２２-08-05",
    "x",
]
CLOCKS = [
    "13:20",
    "9:05:07",
    "24:00",
    "13:20:59.25",
    "00:00Z",
    "13:20+08:00",
    "13:20 +0930",
    "13:20-23:59",
    "1",
    "13：20",
]
TIMES = st.one_of(
    st.builds(
        "".join,
        st.tuples(st.sampled_from(DAYS), st.sampled_from([" ", "T", "t", "  ", "　", ""]), st.sampled_from(CLOCKS)),
    ),
    st.text(alphabet=string.digits + "-/: TZ+.", max_size=28),
)


def by_its_long_way(lines: list[str]) -> list[Sample | Refusal]:
    """Returns the rows of a CSV file, none of them taken to be plainly right."""
    reader = CsvReader(lambda: lines)
    rows = [reader._row(number, line) for number, line in enumerate(lines[1:], start=2)]
    return [row for row in rows if row is not None]


GOOD = ["S1", "某人", "RESIDENT_ID", IDS[0], "2022-08-05T13:20+08:00", "2022-08-06T03:40+08:00", "阴性", "10混1"]
MORE = ["核酸检测", "", ""]
MORE_CELLS = st.one_of(CELLS, st.sampled_from(["更正", "撤回", "甲流核酸", "新冠核酸", IDS[0], "弄错"]))
ROWS = st.one_of(
    st.tuples(*(st.one_of(st.just(cell), st.just(cell), CELLS) for cell in GOOD)).map(list),
    st.tuples(*(st.one_of(st.just(cell), st.just(cell), MORE_CELLS) for cell in GOOD + MORE)).map(list),
    st.lists(CELLS, min_size=7, max_size=9),
)
HEADERS = st.sampled_from(
    [CHINESE, ENGLISH, CHINESE + OPTIONAL, CHINESE + ",更正", CHINESE.replace("证件类型,", "") + ",x"]
)


@given(HEADERS, st.lists(ROWS, max_size=4))
def test_lines_read_the_same_either_way(header: str, rows: list[list[str]]) -> None:
    """Whatever stands in a CSV file's cells, each row is what the whole of the rules makes of it."""
    lines = [header.replace("证件号码", "身份证号") if header.endswith("x") else header]
    lines += [",".join(cells) + "\n" for cells in rows]
    assert by_its_long_way(lines) == list(CsvReader(lambda: lines))


@pytest.mark.parametrize("local", [True, False])
@given(cell=TIMES)
@example(cell="2022-08-05T13:20:00+08:00")
def test_times_read_the_same_either_way(local: bool, cell: str) -> None:
    """A time put together of a day and a time of day is the instant that it is as a whole, or refused for the same."""

    def read(how: object) -> Instant | str | None:
        try:
            return how(cell, local)  # type: ignore[operator,no-any-return]
        except RefusedValueError as refused:
            return refused.reason

    assert read(times._time) == read(times.time)


LINES = st.dictionaries(
    st.sampled_from(
        [*"sample_id document_type document_number sampled_at reported_at result tube other".split(), "resourceType"]
    ),
    st.one_of(CELLS, st.none(), st.integers(), st.lists(st.text(max_size=1), max_size=1)),
).map(lambda line: json.dumps(line, ensure_ascii=False))


@given(st.one_of(LINES, st.sampled_from(["[]", "1", "{", "null", "{}", '{"tube": "SINGLE", "tube": 1}'])))
def test_json_lines_read_the_same_either_way(line: str) -> None:
    """Whatever stands in a line of JSON, it is what the whole of the rules makes of it."""
    assert [JsonLinesReader(list)._thorough(1, line)] == list(JsonLinesReader(lambda: [line]))


def test_the_short_ways_are_taken() -> None:
    """Plain rows do go the short way, of which the tests above would tell nothing otherwise."""
    good = [
        "S1",
        "RESIDENT_ID",
        IDS[0],
        "2022-08-05T13:20:00+08:00",
        "2022-08-06T03:40:00+08:00",
        "NEGATIVE",
        "POOL_10",
    ]
    keys = "sample_id document_type document_number sampled_at reported_at result tube".split()
    lines = [ENGLISH, ",".join([good[0], "某人", *good[1:]])]
    (expected,) = CsvReader(lambda: lines)
    assert isinstance(expected, Sample)
    assert expected == plain(2, False, *good)
    found = json_lines._plain(2, json.dumps(dict(zip(keys, good, strict=True))))
    assert expected == found


AMENDMENT, RETRACTION = CorrectionKind.CORRECTION_KIND_AMENDMENT, CorrectionKind.CORRECTION_KIND_RETRACTION
INSTANTS = st.one_of(st.none(), st.integers(min_value=-(10**15), max_value=10**16).map(Instant))
SAMPLES = st.builds(
    Sample,
    st.integers(min_value=1, max_value=10**6),
    st.text(max_size=5),
    st.sampled_from([DocumentType.DOCUMENT_TYPE_RESIDENT_ID, DocumentType.DOCUMENT_TYPE_PASSPORT]),
    st.text(max_size=5),
    INSTANTS,
    INSTANTS,
    st.sampled_from(list(TestResult.values())),
    st.sampled_from([Tube.TUBE_SINGLE, Tube.TUBE_POOL_10]),
    st.none() | st.builds(DeclaredCorrection, st.sampled_from([AMENDMENT, RETRACTION]), st.text(max_size=5)),
)


def submission(sample: Sample, to: Destination) -> RecordSubmission:
    """A row as the contract has it, made by itself."""
    reported = sample.result != TestResult.TEST_RESULT_UNSPECIFIED
    made = RecordSubmission(
        region=to.region,
        source_id=sample.sample_id,
        subject=Subject(document=Document(type=sample.document_type, number=sample.document_number)),
        content=RecordContent(
            kind=RecordKind.RECORD_KIND_RESULT if reported else RecordKind.RECORD_KIND_SAMPLING,
            result=sample.result,
            tube=sample.tube,
            laboratory=to.laboratory,
            site=to.site,
            channel=Channel.CHANNEL_LABORATORY,
            sampled_at=None if sample.sampled_at is None else to_timestamp(sample.sampled_at),
            reported_at=None if sample.reported_at is None else to_timestamp(sample.reported_at),
        ),
    )
    if sample.correction is not None:
        made.correction.kind, made.correction.cause = sample.correction
        if sample.correction.kind == RETRACTION:
            made.ClearField("content")
    return made


@given(st.lists(SAMPLES, max_size=8))
def test_a_batch_is_its_rows_one_by_one(samples: list[Sample]) -> None:
    """Messages that are copied from row to row carry nothing over from one to the next."""
    to = Destination("430000", "430000-test", "430102")
    expected = StreamRecordsRequest(batch=7, submissions=[submission(sample, to) for sample in samples])
    assert expected == request(7, samples, to)
