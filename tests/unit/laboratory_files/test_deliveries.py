"""Tables as laboratories really send them: separators, titles, totals, marks of spreadsheets, synonyms."""

import pytest
from hutong.common.v1.subject_pb2 import DocumentType
from hutong.records.v1.record_write_service_pb2 import CorrectionKind

from cli.laboratory_files.cleaning import APOSTROPHE, EQUALS, INVISIBLE
from cli.laboratory_files.columns import Column
from cli.laboratory_files.refusals import Refusal, UnreadableFileError
from cli.laboratory_files.samples import Sample
from cli.laboratory_files.tables.reader import CsvReader
from tests.testkit.builders.laboratory_files import CHINESE, PERSON, row


def read(*lines: str) -> tuple[CsvReader, list[Sample | Refusal]]:
    """A reader of these lines, and its rows."""
    reader = CsvReader(lambda: lines)
    return reader, list(reader)


def only(*lines: str) -> Sample:
    """The one row, which must be readable."""
    (found,) = read(*lines)[1]
    assert isinstance(found, Sample), found
    return found


def reasons(found: Sample | Refusal) -> list[tuple[str, str]]:
    """Returns the fields and reasons of a refusal."""
    assert isinstance(found, Refusal), found
    return [(violation.field, violation.reason) for violation in found.violations]


EXPECTED = only(CHINESE, row())


@pytest.mark.parametrize("separator", [",", ";", "\t", "|", "，"])
def test_every_separator_is_found_out(separator):
    """By the header's columns; a declaration before it may say the same."""
    lines = [line.replace(",", separator) for line in (CHINESE, row())]
    assert EXPECTED == only(*lines)
    assert EXPECTED._replace(row=3) == only(f"sep={separator}\n", *lines)
    assert EXPECTED._replace(row=3) == only(f'"SEP={separator}"\r\n', *lines)


@pytest.mark.parametrize(
    "lines",
    [
        (";".join(CHINESE.rsplit(",", 4)), row()),
        (CHINESE + "|样本编号|证件号码", row()),
        ("sep=;", CHINESE, row()),
    ],
)
def test_two_separators_that_fit_are_named(lines):
    """Nothing is guessed: the file is refused, naming both."""
    with pytest.raises(UnreadableFileError) as caught:
        read(*lines)
    assert "FILE_SEPARATORS" == caught.value.reason
    assert "comma" in caught.value.text.en
    assert ("semicolon" in caught.value.text.en) or ("pipe" in caught.value.text.en)


def test_titles_are_passed_over_and_counted():
    """Lines before the header, whatever they hold; a row's number stays its line."""
    reader, rows = read("某检测中心核酸检测结果,,,", "\n", "导出时间：2022-08-06 20:00,,,", CHINESE, row())
    assert ([EXPECTED._replace(row=5)], 2) == (rows, reader.notes.titles)


def test_a_header_that_never_comes_is_missed_by_its_nearest_line():
    """The message is about the line that comes nearest to one."""
    with pytest.raises(UnreadableFileError) as caught:
        read("标题", "样本编号,证件号码", *["x"] * 30)
    assert "COLUMN_MISSING" == caught.value.reason
    assert "证件号码" not in caught.value.text.zh.split("；")[0]


@pytest.mark.parametrize(
    "total",
    [
        "合计：1人,,,,,,,",
        "合计,1,,,,,,",
        ",,合计 3 份,,,,,",
        "总计：3",
        "Total,3,,,,,,",
        "备注：混检以管计,,,,,,,",
        "制表人：某某,,,,,,,审核",
    ],
)
def test_totals_are_passed_over_and_counted(total):
    """Rows behind the data that are of no sample."""
    reader, rows = read(CHINESE, row(), total)
    assert ([EXPECTED], 1) == (rows, reader.notes.totals)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (f"合计,,居民身份证,{PERSON},,,,", "TUBE_UNKNOWN"),
        ("T1,,,,,,,", "DOCUMENT_TYPE_REQUIRED"),
        ("1人,,,,,,,", "DOCUMENT_TYPE_REQUIRED"),
    ],
)
def test_what_may_be_a_sample_is_no_total(line, reason):
    """Nothing is lost: a row with a document, or without a total's word, is refused and seen."""
    _, (found,) = read(CHINESE, line)
    assert reason in [found for _, found in reasons(found)]


def test_empty_cells_behind_the_last_column_are_no_error():
    """In rows and in the header; a cell that holds something is."""
    assert EXPECTED == only(CHINESE, row() + ",,,")
    assert EXPECTED == only(CHINESE + ",,,", row() + ",,")
    assert EXPECTED == only(CHINESE + ",,,", row())
    _, (found,) = read(CHINESE + ",,", row() + ",,x")
    assert [("", "ROW_LONG")] == reasons(found)


@pytest.mark.parametrize("column", range(8))
@pytest.mark.parametrize(
    ("before", "behind", "mark"),
    [
        ("'", "", APOSTROPHE),
        ("＇", "", APOSTROPHE),
        ('"=""', '"""', EQUALS),
        ('="', '"', EQUALS),
        ("\u202d", "\u202c", INVISIBLE),
        ("", "\u200b", INVISIBLE),
        ("\ufeff", "", INVISIBLE),
        ("\u200e", "\u00ad", INVISIBLE),
    ],
)
def test_marks_are_taken_off_every_column_and_counted(column, before, behind, mark):
    """What says that a cell is text, and what nobody sees."""
    cells = row().split(",")
    cells[column] = f"{before}{cells[column]}{behind}"
    reader, rows = read(CHINESE, ",".join(cells))
    assert [EXPECTED] == rows
    # Names are not read, so nothing is taken off them.
    assert ({} if column == 1 else {mark: 1}) == dict(reader.notes.cleaned)


def test_blanks_of_all_kinds_around_a_cell_do_not_matter():
    """Tabs, no-break and ideographic spaces."""
    assert EXPECTED == only(CHINESE, row(number=f"\t{PERSON}\u00a0", id="　D1 "))


def test_the_usual_synonyms_of_headers():
    """As laboratories' systems call them."""
    header = "样本号,姓名,证件类型,身份证号,采集时间,报告日期,结果,混检类型"
    assert EXPECTED == only(header, row())
    english = "Sample No,name,ID-Type,id_number,collection_time,report_time,test_result,tube"
    line = row(sampled="2022-08-05T13:20+08:00", reported="2022-08-06T03:40+08:00")
    assert EXPECTED == only(english, line)


def test_a_column_of_resident_ids_needs_no_type():
    """身份证号 says what they are."""
    header = CHINESE.replace("证件类型,证件号码", "身份证号")
    found = only(header, row().replace("居民身份证,", ""))
    assert (DocumentType.DOCUMENT_TYPE_RESIDENT_ID, PERSON) == (found.document_type, found.document_number)
    reader, _ = read(CHINESE.replace("证件号码", "身份证号"), row())
    assert Column.DOCUMENT_TYPE in reader.layout.positions


def test_the_proper_name_of_a_column_comes_before_another_word_for_it():
    """条码号 beside 样本编号 means something else; two of the same rank are refused."""
    reader, rows = read(CHINESE + ",条码号", row() + ",X9")
    assert ([EXPECTED], ("条码号",)) == (rows, reader.layout.unused)
    with pytest.raises(UnreadableFileError) as caught:
        read(CHINESE.replace("样本编号", "样本号") + ",条码号", row() + ",X9")
    assert "COLUMN_TWICE" == caught.value.reason


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("", None),
        ("核酸检测", None),
        ("新型冠状病毒核酸检测", None),
        ("新型冠状病毒（2019-nCoV）核酸检测（ORF1ab/N基因）", None),
        ("新冠病毒核酸（咽拭子）10混1", None),
        ("SARS-CoV-2 RT-PCR", None),
        ("94500-6", None),
        ("甲型流感病毒核酸", "TEST_NOT_TAKEN"),
        ("新冠病毒抗原", "TEST_NOT_TAKEN"),
        ("新冠病毒IgM抗体", "TEST_NOT_TAKEN"),
        ("新冠病毒核酸和抗体", "TEST_NOT_TAKEN"),
        ("HIV RNA", "TEST_NOT_TAKEN"),
        ("PCR", "TEST_NOT_TAKEN"),
        ("乙肝病毒核酸", "TEST_NOT_TAKEN"),
        ("血常规", "TEST_NOT_TAKEN"),
        ("94558-4", "TEST_NOT_TAKEN"),
    ],
)
def test_what_was_tested_decides(cell, reason):
    """Where the file says it, in an optional column."""
    _, (found,) = read(CHINESE + ",检测项目", f"{row()},{cell}")
    if reason is None:
        assert EXPECTED == found
    else:
        assert [("检测项目", reason)] == reasons(found)


@pytest.mark.parametrize(
    ("cells", "kind", "cause"),
    [
        ("更正,复核有误", CorrectionKind.CORRECTION_KIND_AMENDMENT, "复核有误"),
        ("是,", CorrectionKind.CORRECTION_KIND_AMENDMENT, "检验机构更正 / corrected by the laboratory"),
        (",样本弄错", CorrectionKind.CORRECTION_KIND_AMENDMENT, "样本弄错"),
        ("撤回,样本弄错", CorrectionKind.CORRECTION_KIND_RETRACTION, "样本弄错"),
    ],
)
def test_a_row_can_declare_a_correction(cells, kind, cause):
    """By optional columns; a cause alone declares one too."""
    found = only(CHINESE + ",更正,更正原因", f"{row()},{cells}")
    assert found.correction is not None
    assert (kind, cause) == found.correction
    assert EXPECTED.sample_id == found.sample_id


def test_a_withdrawal_needs_nothing_but_whose_it_is():
    """Neither times nor a result."""
    line = row(sampled="", reported="", result="", tube="")
    found = only(CHINESE + ",更正", f"{line},撤回")
    assert (EXPECTED.document_number, None) == (found.document_number, found.sampled_at)
    _, (refused,) = read(CHINESE + ",更正", row(number="") + ",撤回")
    assert [("证件号码", "DOCUMENT_NUMBER_REQUIRED")] == reasons(refused)


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ("也许,", ("更正", "CORRECTION_UNKNOWN")),
        (f"更正,原为{PERSON}", ("更正原因", "CAUSE_PERSONAL_DATA")),
        (f"更正,{'长' * 501}", ("更正原因", "CAUSE_TOO_LONG")),
    ],
)
def test_a_declaration_that_cannot_be_read_is_refused(cells, expected):
    """It is never taken for none."""
    _, (found,) = read(CHINESE + ",更正,更正原因", f"{row()},{cells}")
    assert [expected] == reasons(found)


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("44778.5556", "TIME_SERIAL_NUMBER"),
        ("44778", "TIME_SERIAL_NUMBER"),
        ("2022-08-05", "TIME_WITHOUT_CLOCK"),
        ("2022年8月5日", "TIME_WITHOUT_CLOCK"),
        ("20220805", "TIME_WITHOUT_CLOCK"),
        ("13:20", "TIME_WITHOUT_DAY"),
        ("1659676800", "TIME_UNIX"),
        ("1659676800000", "TIME_UNIX"),
        ("2022-08-05 13", "TIME_WITHOUT_MINUTE"),
        ("2022年8月5日上午9点", "TIME_WITHOUT_MINUTE"),
        ("20:00.0", "TIME_WITHOUT_DAY"),
        ("2022-08-05 24:00", "TIME_24"),
        ("05/08/2022 13:20", "TIME_DAY_ORDER"),
        ("8/5/2022 1:20 PM", "TIME_DAY_ORDER"),
        ("5-Aug-22 13:20", "TIME_TWO_DIGIT_YEAR"),
        ("22/8/5 13:20", "TIME_TWO_DIGIT_YEAR"),
        ("2022-08-05 上午13:20", "TIME_HALF_DAY"),
        ("2022-08-05 下午12:20", "TIME_HALF_DAY"),
        ("2022-08-05 13:20:60", "TIME_IMPOSSIBLE"),
        ("#VALUE!", "CELL_ERROR"),
        ("########", "CELL_HIDDEN"),
        ("昨天下午", "TIME_FORMAT"),
    ],
)
def test_an_unclear_time_is_refused_for_what_it_lacks(cell, reason):
    """Nothing is guessed, and the reason names what stands there."""
    _, (found,) = read(CHINESE, row(sampled=cell))
    assert [("采样时间", reason)] == reasons(found)


@pytest.mark.parametrize(
    "cell",
    [
        "2022年8月5日 13:20",
        "2022年08月05日13时20分",
        "2022/8/5 13:20:00.000",
        "2022.8.5 13:20",
        "20220805132000",
        "202208051320",
        "2022-08-05 13：20",
        "2022/8/5 下午1:20",
        "2022-08-05 13:20+0800",
        "2022-08-05T05:20:00Z",
    ],
)
def test_times_that_can_be_read_but_one_way(cell):
    """However they are written."""
    assert EXPECTED.sampled_at == only(CHINESE, row(sampled=cell)).sampled_at
