"""The words of a cell, in Chinese or English whatever the header's language."""

import re
from functools import lru_cache

from hutong.common.v1.subject_pb2 import DocumentType
from hutong.records.v1.record_pb2 import TestResult, Tube
from hutong.records.v1.record_write_service_pb2 import CorrectionKind

from cli.laboratory_files.cleaning import fold
from cli.laboratory_files.codes import RESULTS, SYSTEMS, TESTS
from cli.laboratory_files.refusals import RefusedValueError
from services.common.documents import CHINESE_NAMES

_DOCUMENT_TYPES = CHINESE_NAMES | {
    name.removeprefix("DOCUMENT_TYPE_"): DocumentType.Value(name)
    for name in DocumentType.keys()  # noqa: SIM118  # an enum wrapper is no dict
    if name != "DOCUMENT_TYPE_UNSPECIFIED"
}

_NEGATIVE, _POSITIVE = TestResult.TEST_RESULT_NEGATIVE, TestResult.TEST_RESULT_POSITIVE
_INCONCLUSIVE = TestResult.TEST_RESULT_INCONCLUSIVE
_RESULTS = {
    "": TestResult.TEST_RESULT_UNSPECIFIED,
    "阴性": _NEGATIVE,
    "未检出": _NEGATIVE,
    "NEGATIVE": _NEGATIVE,
    "NOT DETECTED": _NEGATIVE,
    "阳性": _POSITIVE,
    "检出": _POSITIVE,
    "POSITIVE": _POSITIVE,
    "DETECTED": _POSITIVE,
    "无法判定": _INCONCLUSIVE,
    "INCONCLUSIVE": _INCONCLUSIVE,
    "INDETERMINATE": _INCONCLUSIVE,
    "EQUIVOCAL": _INCONCLUSIVE,
}

_TUBES = {
    "单检": Tube.TUBE_SINGLE,
    "5混1": Tube.TUBE_POOL_5,
    "10混1": Tube.TUBE_POOL_10,
    "20混1": Tube.TUBE_POOL_20,
    "SINGLE": Tube.TUBE_SINGLE,
    "POOL_5": Tube.TUBE_POOL_5,
    "POOL_10": Tube.TUBE_POOL_10,
    "POOL_20": Tube.TUBE_POOL_20,
}
_POOLS = ("混检", "混采", "POOL", "POOLED")

_AMENDMENT, _RETRACTION = CorrectionKind.CORRECTION_KIND_AMENDMENT, CorrectionKind.CORRECTION_KIND_RETRACTION
_CORRECTIONS = {
    "": None,
    "否": None,
    "NO": None,
    "更正": _AMENDMENT,
    "修订": _AMENDMENT,
    "是": _AMENDMENT,
    "AMENDED": _AMENDMENT,
    "CORRECTED": _AMENDMENT,
    "撤回": _RETRACTION,
    "作废": _RETRACTION,
    "RETRACTED": _RETRACTION,
    "ENTERED-IN-ERROR": _RETRACTION,
}

# What a spreadsheet would run when somebody opens a list of these ids; an apostrophe is the mark of a text.
_NOT_PLAIN = ("=", "+", "-", "@", "'", "＇", "#")
_SCIENTIFIC = re.compile(r"\d(\.\d+)?E\+?\d{2}|\d{15,}\.0*", re.ASCII | re.IGNORECASE)
_HIDDEN = re.compile(r"#{3,}")
_ERROR = re.compile(r"#(VALUE!|N/A|REF!|NAME\?|NUM!|NULL!|DIV/0!|SPILL!|CALC!)", re.IGNORECASE)
# Of a test's name, what says that it is for nucleic acid, what of, and what says nothing more.
_NUCLEIC_ACID = re.compile(r"核酸|RNA|RT-?Q?PCR|PCR|NAAT|NUCLEIC ACID", re.IGNORECASE)
_VIRUS = re.compile(r"新型冠状病毒|新冠状病毒|新冠病毒|新冠肺炎|新冠|SARS-?COV-?2|2019-?NCOV|COVID-?19", re.IGNORECASE)
_MORE = re.compile(
    r"实时|荧光|定量|定性|扩增|检测|检验|测定|筛查|采样|单检|单采|单管|混检|混采|快速|应检尽检|愿检尽检|\d{1,2}混1|\d{1,2}:1|咽拭子|鼻拭子|鼻咽拭子|"
    r"口咽拭子|ORF1AB|RDRP|[NES](?=基因|/|,|、)|[NES] GENE|"
    r"基因|TEST|DETECTION|QUALITATIVE|BY|THE|OF|[\s()/,、+:：_.\-\[\]]",
    re.IGNORECASE,
)


def spreadsheet_artefact(cell: str) -> RefusedValueError | None:
    """Returns why a cell holds what a spreadsheet shows in the place of a value; None when it does not."""
    if not cell.startswith("#"):
        return None
    if _HIDDEN.fullmatch(cell):
        return RefusedValueError(
            "CELL_HIDDEN",
            "####：表格软件因列宽不够没有显示内容；请加宽该列后重新导出",
            "####: the spreadsheet's column was too narrow to show the value; widen it and export again",
        )
    if _ERROR.fullmatch(cell):
        return RefusedValueError(
            "CELL_ERROR",
            "这是表格软件的错误值，不是内容；请在表格中改正后重新导出",
            "This is a spreadsheet's error, not a value; mend it in the spreadsheet and export again",
        )
    return None


def is_scientific(cell: str) -> bool:
    """Tells if a cell is a number as spreadsheets and programs write one of many digits: 4.30102E+17, or with a decimal
    point."""
    return _SCIENTIFIC.fullmatch(cell) is not None


def changed_number(what_zh: str, what_en: str) -> RefusedValueError:
    """Returns the refusal of a number that a spreadsheet has changed, with what to do."""
    return RefusedValueError(
        "NUMBER_CHANGED_BY_SPREADSHEET",
        f"表格软件把{what_zh}当作数字改掉了（只保留 15 位，其余变为 0 或科学记数法），原号码已看不出；"
        "请从原系统重新导出，并先把该列设为文本格式",
        f"A spreadsheet has changed the {what_en} as a number (it keeps 15 digits and shows zeros or scientific "
        "notation for the rest), so the real one cannot be seen; export it again from where it came, the column "
        "formatted as text",
    )


def sample_id(cell: str) -> str:
    """Returns the laboratory's id as it stands, without blanks around it. Raises RefusedValueError."""
    cell = cell.strip()
    if not cell:
        raise RefusedValueError("SAMPLE_ID_REQUIRED", "缺少样本编号", "The sample id is missing")
    if not cell.isprintable():
        # The store's own words; half a surrogate pair cannot even be sent to it.
        raise RefusedValueError(
            "SOURCE_ID_FORMAT",
            "样本编号应为1至64个可见字符，首尾不含空格",
            "The sample's id has 1 to 64 printable characters and no blank at its ends",
        )
    if cell.startswith(_NOT_PLAIN):
        artefact = spreadsheet_artefact(cell)
        if artefact is not None:
            raise artefact
        if not cell.startswith("#"):
            raise RefusedValueError("SAMPLE_ID_FORMULA", "样本编号是表格公式", "The sample id is a spreadsheet formula")
    if cell[-3:-2] == "+" and is_scientific(cell):
        raise changed_number("样本编号", "sample id")
    return cell


# A file has few different words: remembered as they stand in its cells, each costs one look-up.
@lru_cache(1024)
def document_type(cell: str) -> DocumentType.ValueType:
    """Returns the type a word names. Raises RefusedValueError."""
    word = fold(cell)
    if not word:
        raise RefusedValueError("DOCUMENT_TYPE_REQUIRED", "缺少证件类型", "The document's type is missing")
    kind = _DOCUMENT_TYPES.get(word) or _DOCUMENT_TYPES.get(word.upper())
    if kind is None:
        raise RefusedValueError(
            "DOCUMENT_TYPE_UNKNOWN",
            "证件类型不在认可之列",
            "This type of document is not one that identifies a person here",
        )
    return kind


def is_document_type(word: str) -> bool:
    """Tells if a word names a type of document."""
    return fold(word) in _DOCUMENT_TYPES or fold(word).upper() in _DOCUMENT_TYPES


@lru_cache(1024)
def result(cell: str) -> TestResult.ValueType:
    """Returns the result a word names; UNSPECIFIED for an empty cell, which makes the row a sampling record. Raises
    RefusedValueError."""
    known = _RESULTS.get(" ".join(fold(cell).upper().split()))
    if known is None:
        raise RefusedValueError(
            "RESULT_UNKNOWN",
            "检测结果应为 阴性、阳性、无法判定 或空",
            "The result must be NEGATIVE, POSITIVE, INCONCLUSIVE or empty",
        )
    return known


@lru_cache(1024)
def tube(cell: str) -> Tube.ValueType:
    """Returns the tube a word names. Raises RefusedValueError."""
    word = fold(cell).upper().replace(" ", "")
    if word in _POOLS:
        raise RefusedValueError(
            "TUBE_POOL_SIZE_MISSING", "混检未写明几混1", "Pooled, but not how many samples share the tube"
        )
    known = _TUBES.get(word)
    if known is None:
        raise RefusedValueError(
            "TUBE_UNKNOWN",
            "检测方式应为 单检、5混1、10混1 或 20混1",
            "The tube must be SINGLE, POOL_5, POOL_10 or POOL_20",
        )
    return known


def speaks_of_tube(word: str) -> bool:
    """Tells if a word is meant to name a tube, so that it may be wrong; RT-PCR, for one, is not."""
    folded = fold(word).upper().replace(" ", "")
    return folded in _TUBES or "混" in folded or "POOL" in folded or folded == "单检"


@lru_cache(1024)
def is_test(name: str) -> bool:
    """Tells if a name, or a LOINC code, is that of a SARS-CoV-2 nucleic-acid test and of nothing besides."""
    word = fold(name).upper()
    if word in TESTS:
        return True
    # 核酸检测 alone means this test to everybody here; PCR and RNA alone may be of anything.
    if not _NUCLEIC_ACID.search(word) or not ("核酸" in word or _VIRUS.search(word)):
        return False
    return not _MORE.sub("", _NUCLEIC_ACID.sub("", _VIRUS.sub("", word)))


@lru_cache(1024)
def test(cell: str) -> None:
    """Looks at what was tested; nothing where that is not said. Raises RefusedValueError unless it is a SARS-CoV-2
    nucleic-acid test."""
    if fold(cell) and not is_test(cell):
        raise RefusedValueError(
            "TEST_NOT_TAKEN",
            "这不是新冠病毒核酸检测项目，不导入",
            "This is not a SARS-CoV-2 nucleic-acid test, and is not taken",
        )


@lru_cache(1024)
def correction(cell: str) -> CorrectionKind.ValueType | None:
    """Returns what a word declares a row to do to what was said before; None for nothing. Raises RefusedValueError."""
    word = fold(cell).upper()
    if word not in _CORRECTIONS:
        raise RefusedValueError(
            "CORRECTION_UNKNOWN", "更正一栏应为 更正、撤回 或空", "The correction is AMENDED, RETRACTED or empty"
        )
    return _CORRECTIONS[word]


def coded_result(system: str, code: str) -> TestResult.ValueType | None:
    """Returns the result that a code of SNOMED CT, LOINC or HL7 names; None for a code that names none."""
    word = RESULTS.get((SYSTEMS.get(system, system), code))
    return None if word is None else _RESULTS[word]
