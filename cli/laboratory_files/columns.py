"""The header line: which language the file speaks, and where each column stands."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from cli.laboratory_files.folding import fold
from cli.laboratory_files.unreadable import UnreadableFileError


class Column(StrEnum):
    """The columns that mean something; the value is the English header."""

    SAMPLE_ID = "sample_id"
    DOCUMENT_TYPE = "document_type"
    DOCUMENT_NUMBER = "document_number"
    SAMPLED_AT = "sampled_at"
    REPORTED_AT = "reported_at"
    RESULT = "result"
    TUBE = "tube"


_CHINESE = {
    "样本编号": Column.SAMPLE_ID,
    "证件类型": Column.DOCUMENT_TYPE,
    "证件号码": Column.DOCUMENT_NUMBER,
    "采样时间": Column.SAMPLED_AT,
    "报告时间": Column.REPORTED_AT,
    "检测结果": Column.RESULT,
    "检测方式": Column.TUBE,
}
_ENGLISH = {column.value: column for column in Column}
# Names of people come with the file and go no further.
_IGNORED = frozenset({"姓名", "name"})


@dataclass(frozen=True, slots=True)
class Layout:
    """The layout of a file's columns. `headers` are the file's own names by column, for messages about its rows;
    `local_times` says that times without an offset are UTC+8 by declaration, as in files with Chinese headers; `unused`
    are columns that mean nothing here."""

    positions: dict[Column, int]
    headers: dict[Column, str]
    width: int
    local_times: bool
    unused: tuple[str, ...]


def read_header(cells: Sequence[str]) -> Layout:
    """The layout a header line declares. Order does not matter, nor blanks, full-width characters and letter case.

    Raises UnreadableFileError with reason COLUMN_MISSING, COLUMN_TWICE or HEADER_LANGUAGES, naming the columns.
    """
    names = [fold(cell).lower() for cell in cells]
    unused: list[str] = []
    positions: dict[Column, int] = {}
    headers: dict[Column, str] = {}
    languages: set[str] = set()
    for position, name in enumerate(names):
        column = _CHINESE.get(name) or _ENGLISH.get(name)
        if column is None:
            if name and name not in _IGNORED:
                unused.append(cells[position].strip())
            continue
        if column in positions:
            raise UnreadableFileError("COLUMN_TWICE", f"“{name}”一列出现了两次", f"The column {name} appears twice")
        languages.add("zh" if name in _CHINESE else "en")
        positions[column] = position
        headers[column] = name
    missing = [column for column in Column if column not in positions]
    if missing:
        chinese = {column: name for name, column in _CHINESE.items()}
        zh = "、".join(chinese[column] for column in missing)
        en = ", ".join(missing)
        found_zh = f"；不认识的列：{'、'.join(unused)}" if unused else ""
        found_en = f"; unknown columns: {', '.join(unused)}" if unused else ""
        raise UnreadableFileError("COLUMN_MISSING", f"缺少列：{zh}{found_zh}", f"Missing columns: {en}{found_en}")
    if len(languages) > 1:
        raise UnreadableFileError(
            "HEADER_LANGUAGES",
            "表头混用中英文，无法判断时间的时区约定",
            "The header mixes Chinese and English, so it does not tell in which zone times without an offset are",
        )
    return Layout(positions, headers, len(cells), "zh" in languages, tuple(unused))
