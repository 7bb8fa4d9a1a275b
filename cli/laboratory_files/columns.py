"""The header line: which language the file speaks, and where each column stands."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from cli.laboratory_files.cleaning import fold
from cli.laboratory_files.refusals import UnreadableFileError


class Column(StrEnum):
    """The columns that mean something; the value is the English header."""

    SAMPLE_ID = "sample_id"
    DOCUMENT_TYPE = "document_type"
    DOCUMENT_NUMBER = "document_number"
    SAMPLED_AT = "sampled_at"
    REPORTED_AT = "reported_at"
    RESULT = "result"
    TUBE = "tube"
    TEST = "test"
    CORRECTION = "correction"
    CORRECTION_CAUSE = "correction_cause"


REQUIRED = tuple(Column)[:7]
OPTIONAL = tuple(Column)[7:]

# The first of each is its name; the others are what laboratories write in its place.
_CHINESE = {
    Column.SAMPLE_ID: (
        *("样本编号", "样本号", "样本条码", "样品编号", "样品号", "标本编号", "标本号", "标本条码"),
        *("条码号", "条形码", "条码"),
    ),
    Column.DOCUMENT_TYPE: ("证件类型", "证件类别", "证件种类"),
    Column.DOCUMENT_NUMBER: ("证件号码", "证件号", "证件编号", "身份证号", "身份证号码", "身份证"),
    Column.SAMPLED_AT: ("采样时间", "采样日期", "采样日期时间", "采集时间", "采集日期", "标本采集时间"),
    Column.REPORTED_AT: ("报告时间", "报告日期", "报告日期时间", "出报告时间", "报告发布时间"),
    Column.RESULT: ("检测结果", "结果", "检验结果", "核酸检测结果", "核酸结果"),
    Column.TUBE: ("检测方式", "混检类型", "单混检", "单检混检", "单采混采", "采样方式", "检测类型"),
    Column.TEST: ("检测项目", "检验项目", "项目名称", "项目"),
    Column.CORRECTION: ("更正", "更正标记"),
    Column.CORRECTION_CAUSE: ("更正原因",),
}
_ENGLISH = {
    Column.SAMPLE_ID: ("sample_id", "sample_no", "sample_number", "specimen_id", "specimen_no", "barcode"),
    Column.DOCUMENT_TYPE: ("document_type", "id_type"),
    Column.DOCUMENT_NUMBER: ("document_number", "document_no", "id_number", "id_no"),
    Column.SAMPLED_AT: ("sampled_at", "sampling_time", "collected_at", "collection_time"),
    Column.REPORTED_AT: ("reported_at", "report_time", "issued_at"),
    Column.RESULT: ("result", "test_result"),
    Column.TUBE: ("tube", "tube_type"),
    Column.TEST: ("test", "test_name"),
    Column.CORRECTION: ("correction",),
    Column.CORRECTION_CAUSE: ("correction_cause",),
}
_LANGUAGES = (("zh", _CHINESE), ("en", _ENGLISH))
_COLUMNS = {name: column for _, names in _LANGUAGES for column, every in names.items() for name in every}
_PROPER = {every[0] for _, names in _LANGUAGES for every in names.values()}
# Names of people come with the file and go no further.
_IGNORED = frozenset({"姓名", "name"})
# Headers that say what kind of document the numbers are of.
_RESIDENT_IDS = frozenset({"身份证号", "身份证号码", "身份证"})
RESIDENT_ID = "RESIDENT_ID"


@dataclass(frozen=True, slots=True)
class Layout:
    """The layout of a file's columns. `headers` are the file's own names by column, for messages about its rows;
    `local_times` says that times without an offset are UTC+8 by declaration, as in files with Chinese headers; `unused`
    are columns that mean nothing here; `document_type` is the word for every row's where the file has no column of
    it."""

    positions: dict[Column, int]
    headers: dict[Column, str]
    width: int
    local_times: bool
    unused: tuple[str, ...]
    document_type: str = ""


def known_columns(cells: Sequence[str]) -> int:
    """Returns how many different columns a line of headers would name; 0 for a line of values."""
    return len({_COLUMNS[name] for name in map(_name, cells) if name in _COLUMNS})


def read_header(cells: Sequence[str]) -> Layout:
    """Returns the layout a header line declares. Order does not matter, nor blanks, full-width characters and letter
    case.

    Raises UnreadableFileError with reason COLUMN_MISSING, COLUMN_TWICE or HEADER_LANGUAGES, naming the columns.
    """
    names = [_name(cell) for cell in cells]
    while names and not names[-1]:
        names.pop()
    positions: dict[Column, int] = {}
    unused: list[str] = []
    for position, name in enumerate(names):
        column = _COLUMNS.get(name)
        if column is None:
            if name and name not in _IGNORED:
                unused.append(cells[position].strip())
            continue
        other = positions.get(column)
        if other is not None and (name in _PROPER) == (names[other] in _PROPER):
            both = name if name == names[other] else f"{names[other]}, {name}"
            raise UnreadableFileError(
                "COLUMN_TWICE", f"同一列出现了两次：{both}", f"The same column appears twice: {both}"
            )
        # Beside a column of the proper name, another word for it means something else.
        if other is None or name in _PROPER:
            positions[column] = position
        if other is not None:
            unused.append(cells[other if name in _PROPER else position].strip())
    headers = {column: names[position] for column, position in positions.items()}
    implied = RESIDENT_ID if headers.get(Column.DOCUMENT_NUMBER) in _RESIDENT_IDS else ""
    languages = {language for language, words in _LANGUAGES for name in headers.values() if _speaks(words, name)}
    missing = [column for column in REQUIRED if column not in positions]
    if implied and Column.DOCUMENT_TYPE in missing:
        missing.remove(Column.DOCUMENT_TYPE)
        headers[Column.DOCUMENT_TYPE] = headers[Column.DOCUMENT_NUMBER]
    if missing:
        zh = "、".join(_CHINESE[column][0] for column in missing)
        en = ", ".join(missing)
        unknown_zh = f"；不认识的列：{'、'.join(unused)}" if unused else ""
        unknown_en = f"; unknown columns: {', '.join(unused)}" if unused else ""
        raise UnreadableFileError("COLUMN_MISSING", f"缺少列：{zh}{unknown_zh}", f"Missing columns: {en}{unknown_en}")
    if len(languages) > 1:
        raise UnreadableFileError(
            "HEADER_LANGUAGES",
            "表头混用中英文，无法判断时间的时区约定",
            "The header mixes Chinese and English, so it does not tell in which zone times without an offset are",
        )
    return Layout(positions, headers, len(names), "zh" in languages, tuple(unused), implied)


def _speaks(words: dict[Column, tuple[str, ...]], name: str) -> bool:
    return any(name in every for every in words.values())


def _name(cell: str) -> str:
    word = fold(cell).lower()
    return word.replace(" ", "_").replace("-", "_") if word.isascii() else word.replace(" ", "")
