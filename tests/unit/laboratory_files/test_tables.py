"""Laboratory files are read in whatever form they may have, and each kind of wrong row is refused for its reason."""

import codecs
import io

import pytest
from hutong.common.v1.subject_pb2 import DocumentType
from hutong.records.v1.record_pb2 import TestResult, Tube

from cli.laboratory_files.columns import Column
from cli.laboratory_files.encoding import GB18030, UTF_8, find_encoding
from cli.laboratory_files.lines import LONGEST_LINE, bounded_lines
from cli.laboratory_files.refusals import Refusal, UnreadableFileError
from cli.laboratory_files.samples import Sample
from cli.laboratory_files.tables.reader import CsvReader
from services.common.instants import Instant, format_rfc3339

CHINESE = "样本编号,姓名,证件类型,证件号码,采样时间,报告时间,检测结果,检测方式"
ENGLISH = "sample_id,name,document_type,document_number,sampled_at,reported_at,result,tube"
GOOD_ID = "430102199001011238"
GOOD = f"A1,某人,居民身份证,{GOOD_ID},2022-08-05 13:20,2022-08-06 03:40,阴性,10混1"


def read(*lines: str) -> list[Sample | Refusal]:
    """The rows of a file of these lines."""
    return list(CsvReader(lambda: lines))


def only(*lines: str) -> Sample:
    """The one row, which must be readable."""
    (row,) = read(*lines)
    assert isinstance(row, Sample), row
    return row


def spoken(instant: Instant | None) -> str:
    """A known instant as text."""
    assert instant is not None
    return format_rfc3339(instant)


def chunked(content: bytes, size: int = 7):
    """The content as a file is read, in chunks that split characters."""
    return lambda: (content[at : at + size] for at in range(0, len(content), size))


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (f"{CHINESE}\n{GOOD}\n".encode(), UTF_8),
        (codecs.BOM_UTF8 + f"{CHINESE}\n{GOOD}\n".encode(), UTF_8),
        (f"{CHINESE}\n{GOOD}\n".encode("gb18030"), GB18030),
        (f"{CHINESE}\n{GOOD},㐀\U00020000\n".encode("gb18030"), GB18030),
        (b"sample_id\n", UTF_8),
    ],
)
def test_the_encoding_is_found_out(content, encoding):
    """UTF-8 with and without a mark and GB18030 are told apart, whatever chunk a character is split by."""
    assert find_encoding(chunked(content)) == encoding
    assert find_encoding(chunked(content, 1)) == encoding


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "FILE_EMPTY"),
        (b"\xd0\xcf\x11\xe0....", "FILE_KIND"),
        (CHINESE.encode("utf-16"), "FILE_KIND"),
        (b"%PDF-1.7", "FILE_KIND"),
        (b"\xef\xbb\xbf\n<html><table>", "FILE_KIND"),
        (b"a\0b", "FILE_KIND"),
        (b"sample_id,\xff\xff\n", "FILE_ENCODING"),
        ("样本".encode()[:-1], "FILE_ENCODING"),
        ("样本编号,é\n".encode("latin-1", "replace") + b"\xe9\n", "FILE_ENCODING"),
    ],
)
def test_a_file_that_is_no_text_is_refused(content, reason):
    """A workbook, UTF-16, or bytes that are neither UTF-8 nor GB18030 are a clear error, not garbled rows."""
    with pytest.raises(UnreadableFileError) as caught:
        find_encoding(chunked(content, 64))
    assert caught.value.reason == reason


def test_the_first_wrong_byte_is_named():
    """The message says where each encoding fails, counted from 1, also behind a chunk's edge."""
    with pytest.raises(UnreadableFileError) as caught:
        find_encoding(chunked("样本编号".encode() + b"\xff\xff", 5))
    assert "UTF-8 (wrong from byte 13)" in caught.value.text.en


@pytest.mark.parametrize("header", [CHINESE, ENGLISH])
def test_columns_stand_in_any_order(header):
    """Columns are found by name, with blanks, full-width characters and capitals around them."""
    names = header.upper().split(",")[::-1]
    layout = CsvReader(lambda: [",".join(f" {name}　" for name in names)]).layout
    assert layout.positions[Column.TUBE] == 0
    assert layout.positions[Column.SAMPLE_ID] == 7
    assert layout.local_times == (header is CHINESE)


@pytest.mark.parametrize(
    ("header", "reason", "named"),
    [
        (CHINESE.replace("检测方式", "检验方法"), "COLUMN_MISSING", "检验方法"),
        (ENGLISH.replace("tube", "vial"), "COLUMN_MISSING", "tube"),
        (CHINESE + ",采样时间", "COLUMN_TWICE", "采样时间"),
        (CHINESE.replace("检测方式", "tube"), "HEADER_LANGUAGES", "UTC"),
        ("", "COLUMN_MISSING", "sample_id"),
    ],
)
def test_a_header_that_cannot_be_used_names_its_columns(header, reason, named):
    """Missing, unknown, doubled and mixed columns are named, and no row is read."""
    with pytest.raises(UnreadableFileError) as caught:
        CsvReader(lambda: [header])
    assert caught.value.reason == reason
    if reason != "HEADER_LANGUAGES":
        assert named in str(caught.value)


def test_a_column_that_means_nothing_here_is_named_and_left_out():
    """An unknown column harms nothing while no known one is missing; it is reported as unused."""
    reader = CsvReader(lambda: [CHINESE + ",备注", GOOD + ",x"])
    assert reader.layout.unused == ("备注",)
    assert [type(row) for row in reader] == [Sample]


def test_a_row_is_read():
    """All values of a row, times in UTC+8 by declaration."""
    row = only(CHINESE, GOOD)
    assert row.sample_id == "A1"
    assert row.row == 2
    assert row.document_type == DocumentType.DOCUMENT_TYPE_RESIDENT_ID
    assert row.document_number == GOOD_ID
    assert spoken(row.sampled_at) == "2022-08-05T13:20:00+08:00"
    assert spoken(row.reported_at) == "2022-08-06T03:40:00+08:00"
    assert row.result == TestResult.TEST_RESULT_NEGATIVE
    assert row.tube == Tube.TUBE_POOL_10


def test_the_document_number_is_not_shown():
    """A row that finds its way into a log or a traceback does not show the number."""
    assert GOOD_ID not in repr(only(CHINESE, GOOD))


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("2022-08-05 13:20", "2022-08-05T13:20:00+08:00"),
        ("2022/8/5 9:05", "2022-08-05T09:05:00+08:00"),
        ("2022-08-05 13:20:59", "2022-08-05T13:20:59+08:00"),
        ("２０２２-08-05　13：20", "2022-08-05T13:20:00+08:00"),
        ("2022-08-05T05:20:00Z", "2022-08-05T13:20:00+08:00"),
        ("2022-08-05T13:20:00.25+08:00", "2022-08-05T13:20:00+08:00"),
        ("2022-08-05T14:20+09:00", "2022-08-05T13:20:00+08:00"),
    ],
)
def test_times_of_a_chinese_file(cell, expected):
    """Local times are UTC+8; a time that brings its offset keeps it."""
    assert spoken(only(CHINESE, GOOD.replace("2022-08-05 13:20", cell)).sampled_at) == expected


@pytest.mark.parametrize("cell", ["", " ", "　"])
def test_an_empty_time_is_unknown(cell):
    """A result may come without its sampling time: it is then placed by its report."""
    assert only(CHINESE, GOOD.replace("2022-08-05 13:20", cell)).sampled_at is None


@pytest.mark.parametrize(
    ("cell", "tube"),
    [
        ("单检", Tube.TUBE_SINGLE),
        ("5混1", Tube.TUBE_POOL_5),
        ("２０混１ ", Tube.TUBE_POOL_20),
        ("SINGLE", Tube.TUBE_SINGLE),
        ("pool_10", Tube.TUBE_POOL_10),
    ],
)
def test_tubes(cell, tube):
    """Tubes in Chinese and English, with full-width digits and blanks."""
    assert only(CHINESE, GOOD.replace("10混1", cell)).tube == tube


@pytest.mark.parametrize(
    ("cell", "result"),
    [
        ("", TestResult.TEST_RESULT_UNSPECIFIED),
        ("阳性", TestResult.TEST_RESULT_POSITIVE),
        ("无法判定", TestResult.TEST_RESULT_INCONCLUSIVE),
        ("Negative", TestResult.TEST_RESULT_NEGATIVE),
    ],
)
def test_results(cell, result):
    """Results in Chinese and English; an empty one makes a sampling record."""
    assert only(CHINESE, GOOD.replace("阴性", cell)).result == result


@pytest.mark.parametrize(
    ("word", "number", "expected"),
    [
        ("居民身份证", "430102900101123", DocumentType.DOCUMENT_TYPE_RESIDENT_ID),
        ("居民身份证", "４30102199001011238 ", DocumentType.DOCUMENT_TYPE_RESIDENT_ID),
        ("港澳台居民居住证", "810000199408230021", DocumentType.DOCUMENT_TYPE_RESIDENT_ID),
        ("护照", "e98877538", DocumentType.DOCUMENT_TYPE_PASSPORT),
        ("PASSPORT", "E98877538", DocumentType.DOCUMENT_TYPE_PASSPORT),
        ("港澳居民来往内地通行证", "M21962992", DocumentType.DOCUMENT_TYPE_HK_MACAO_PERMIT),
        ("台湾居民来往大陆通行证", "12345678", DocumentType.DOCUMENT_TYPE_TAIWAN_PERMIT),
    ],
)
def test_documents(word, number, expected):
    """Every type of document by its names, numbers in the forms people type."""
    line = GOOD.replace("居民身份证", word).replace(GOOD_ID, number)
    assert only(CHINESE, line).document_type == expected


@pytest.mark.parametrize(
    ("line", "field", "reason"),
    [
        (GOOD.rsplit(",", 2)[0], "", "ROW_SHORT"),
        (GOOD + ",多出一列", "", "ROW_LONG"),
        (GOOD + '"x', "", "TUBE_UNKNOWN"),
        ('"' + GOOD, "", "ROW_QUOTES"),
        (GOOD.replace("某人", "某" * LONGEST_LINE), "", "ROW_TOO_LONG"),
        (GOOD.replace("A1", " "), "样本编号", "SAMPLE_ID_REQUIRED"),
        (GOOD.replace("A1", '"=HYPERLINK(""x"")"'), "样本编号", "SAMPLE_ID_FORMULA"),
        (GOOD.replace("A1", "@x"), "样本编号", "SAMPLE_ID_FORMULA"),
        (GOOD.replace("居民身份证", "学生证"), "证件类型", "DOCUMENT_TYPE_UNKNOWN"),
        (GOOD.replace("居民身份证", ""), "证件类型", "DOCUMENT_TYPE_REQUIRED"),
        (GOOD.replace(GOOD_ID, ""), "证件号码", "DOCUMENT_NUMBER_REQUIRED"),
        (GOOD.replace(GOOD_ID, GOOD_ID[:-1] + "9"), "证件号码", "DOCUMENT_NUMBER_CHECK"),
        (GOOD.replace(GOOD_ID, "43010219991332001X"), "证件号码", "DOCUMENT_NUMBER_BIRTH_DATE"),
        (GOOD.replace(GOOD_ID, "990102199001011238"), "证件号码", "DOCUMENT_NUMBER_REGION"),
        (GOOD.replace("2022-08-05 13:20", "2022-13-05 10:00"), "采样时间", "TIME_IMPOSSIBLE"),
        (GOOD.replace("2022-08-05 13:20", "2022-02-29 10:00"), "采样时间", "TIME_IMPOSSIBLE"),
        (GOOD.replace("2022-08-05 13:20", "2022-08-05 24:00"), "采样时间", "TIME_24"),
        (GOOD.replace("2022-08-05 13:20", "0001-01-01T00:00+14:00"), "采样时间", "TIME_IMPOSSIBLE"),
        (GOOD.replace("2022-08-05 13:20", "2022-08-05"), "采样时间", "TIME_WITHOUT_CLOCK"),
        (GOOD.replace("2022-08-06 03:40", "05/08/2022 3:40"), "报告时间", "TIME_DAY_ORDER"),
        (GOOD.replace("阴性", "阴"), "检测结果", "RESULT_UNKNOWN"),
        (GOOD.replace("10混1", "混检"), "检测方式", "TUBE_POOL_SIZE_MISSING"),
        (GOOD.replace("10混1", "15混1"), "检测方式", "TUBE_UNKNOWN"),
        (GOOD.replace("10混1", ""), "检测方式", "TUBE_UNKNOWN"),
    ],
)
def test_a_wrong_row_is_refused_for_its_reason(line, field, reason):
    """A wrong row names the column and the reason, in both languages, and the rows around it are read."""
    before, refusal, after = read(CHINESE, GOOD, line, GOOD)
    assert isinstance(before, Sample)
    assert isinstance(after, Sample)
    assert isinstance(refusal, Refusal)
    assert refusal.row == 3
    (violation,) = refusal.violations
    assert violation.reason == reason
    if field:
        assert violation.field == field
    assert violation.text.zh
    assert violation.text.en


def test_a_row_names_everything_wrong_with_it():
    """All of a row's mistakes are found at once, so that it need not be sent back twice."""
    line = GOOD.replace("阴性", "阴").replace("10混1", "混检").replace(GOOD_ID, "1")
    (refusal,) = read(CHINESE, line)
    assert isinstance(refusal, Refusal)
    assert [found.field for found in refusal.violations] == ["证件号码", "检测结果", "检测方式"]


def test_no_message_repeats_a_document_number():
    """A refused number is in no text of its refusal."""
    (refusal,) = read(CHINESE, GOOD.replace(GOOD_ID, "430102199001011239"))
    assert "430102199001011239" not in str(refusal)


def test_english_times_need_an_offset():
    """An instant without an offset is refused in a file that declares no zone."""
    line = f"A1,x,RESIDENT_ID,{GOOD_ID},2022-08-05T13:20:00,2022-08-06T03:40:00+08:00,NEGATIVE,POOL_10"
    (refusal,) = read(ENGLISH, line)
    assert isinstance(refusal, Refusal)
    assert [(found.field, found.reason) for found in refusal.violations] == [("sampled_at", "TIME_WITHOUT_OFFSET")]
    assert spoken(only(ENGLISH, line.replace("T13:20:00,", "T05:20:00Z,")).sampled_at) == ("2022-08-05T13:20:00+08:00")


def test_blank_rows_count_but_are_no_rows():
    """Blank lines, as spreadsheets leave them, are passed over; row numbers stay those a spreadsheet shows."""
    rows = read(CHINESE + "\n", "\n", ",,,,,,,\n", GOOD + "\n", "\n")
    assert [row.row for row in rows] == [4]


def test_lines_are_bounded():
    """A file without line ends does not fill the memory: a line's excess is dropped, the next line is whole."""
    file = io.StringIO("x" * (3 * LONGEST_LINE) + "\n" + "next\n")
    long, following = bounded_lines(file)
    assert len(long) == LONGEST_LINE + 1
    assert following == "next\n"
    assert list(bounded_lines(io.StringIO("y" * (2 * LONGEST_LINE)))) == ["y" * (LONGEST_LINE + 1)]
