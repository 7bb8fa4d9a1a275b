"""The words and times of a cell, in Chinese or English whatever the header's language."""

import re
from datetime import datetime, tzinfo
from functools import lru_cache

from hutong.common.v1.subject_pb2 import DocumentType
from hutong.records.v1.record_pb2 import TestResult, Tube

from cli.laboratory_files.folding import fold
from services.common.documents import CHINESE_NAMES
from services.common.errors import Text
from services.common.instants import CST, DAY, Instant, from_datetime


class RefusedValueError(Exception):
    """A cell that cannot be read. The text never repeats what stands in it."""

    def __init__(self, reason: str, zh: str, en: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.text = Text(zh, en)


_DOCUMENT_TYPES = CHINESE_NAMES | {
    name.removeprefix("DOCUMENT_TYPE_"): DocumentType.Value(name)
    for name in DocumentType.keys()  # noqa: SIM118  # an enum wrapper is no dict
    if name != "DOCUMENT_TYPE_UNSPECIFIED"
}

_RESULTS = {
    "": TestResult.TEST_RESULT_UNSPECIFIED,
    "阴性": TestResult.TEST_RESULT_NEGATIVE,
    "阳性": TestResult.TEST_RESULT_POSITIVE,
    "无法判定": TestResult.TEST_RESULT_INCONCLUSIVE,
    "NEGATIVE": TestResult.TEST_RESULT_NEGATIVE,
    "POSITIVE": TestResult.TEST_RESULT_POSITIVE,
    "INCONCLUSIVE": TestResult.TEST_RESULT_INCONCLUSIVE,
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

_TIME = re.compile(
    r"(\d{4})[-/](\d{1,2})[-/](\d{1,2})[ T]+(\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d{1,9})?)?\s*(Z|[+-]\d{2}:?\d{2})?",
    re.ASCII | re.IGNORECASE,
)
# Years in which every zone's instant is one that protobuf can carry.
_YEARS = range(1970, 9999)
# What a spreadsheet would run when somebody opens a list of these ids.
_FORMULA = ("=", "+", "-", "@")


def sample_id(cell: str) -> str:
    """The laboratory's id as it stands, without blanks around it."""
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
    if cell.startswith(_FORMULA):
        raise RefusedValueError("SAMPLE_ID_FORMULA", "样本编号是表格公式", "The sample id is a spreadsheet formula")
    return cell


# A file has few different words: remembered as they stand in its cells, each costs one look-up.
@lru_cache(1024)
def document_type(cell: str) -> DocumentType.ValueType:
    """The type a word names."""
    word = fold(cell)
    if not word:
        raise RefusedValueError("DOCUMENT_TYPE_REQUIRED", "缺少证件类型", "The document's type is missing")
    found = _DOCUMENT_TYPES.get(word) or _DOCUMENT_TYPES.get(word.upper())
    if found is None:
        raise RefusedValueError(
            "DOCUMENT_TYPE_UNKNOWN",
            "证件类型不在认可之列",
            "This type of document is not one that identifies a person here",
        )
    return found


@lru_cache(1024)
def result(cell: str) -> TestResult.ValueType:
    """The result a word names; UNSPECIFIED for an empty cell, which makes the row a sampling record."""
    found = _RESULTS.get(fold(cell).upper())
    if found is None:
        raise RefusedValueError(
            "RESULT_UNKNOWN",
            "检测结果应为 阴性、阳性、无法判定 或空",
            "The result must be NEGATIVE, POSITIVE, INCONCLUSIVE or empty",
        )
    return found


@lru_cache(1024)
def tube(cell: str) -> Tube.ValueType:
    """The tube a word names."""
    word = fold(cell).upper().replace(" ", "")
    if word in ("混检", "POOL", "POOLED"):
        raise RefusedValueError(
            "TUBE_POOL_SIZE_MISSING", "混检未写明几混1", "Pooled, but not how many samples share the tube"
        )
    found = _TUBES.get(word)
    if found is None:
        raise RefusedValueError(
            "TUBE_UNKNOWN",
            "检测方式应为 单检、5混1、10混1 或 20混1",
            "The tube must be SINGLE, POOL_5, POOL_10 or POOL_20",
        )
    return found


def time(cell: str, local: bool) -> Instant | None:
    """The instant a cell names, None when it is empty. Without an offset it is UTC+8 where `local`, else refused."""
    if not cell:
        return None
    # A file has few days and, at most, all times of a day: remembered apart, an instant costs two look-ups and a sum.
    day, _, clock = cell.partition("T" if "T" in cell else " ")
    begins, since = _day(day), _clock(clock, local)
    if begins is not None and since is not None:
        return Instant(begins + since)
    return _time(cell, local)


@lru_cache(1024)
def _day(text: str) -> int | None:
    """The midnight a text names as a day, in UTC; None unless a cell may begin so."""
    return _or_none(f"{text}T00:00Z", local=False)


@lru_cache(1 << 15)
def _clock(text: str, local: bool) -> int | None:
    """Returns how far from a day's midnight in UTC a text names an instant, in microseconds; None unless a cell may end
    so."""
    found = _or_none(f"1970-01-02T{text}", local)
    return None if found is None else found - DAY


def _or_none(cell: str, local: bool) -> Instant | None:
    try:
        return _time(cell, local)
    except RefusedValueError:
        return None


@lru_cache(64)
def _zone(offset: str) -> tzinfo | None:
    return datetime.strptime(offset, "%z").tzinfo


def _time(cell: str, local: bool) -> Instant | None:
    word = fold(cell)
    if not word:
        return None
    match = _TIME.fullmatch(word)
    if match is None:
        raise RefusedValueError(
            "TIME_FORMAT",
            "时间应如 2022-08-05 13:20 或 2022/8/5 9:05",
            "A time looks like 2022-08-05T13:20:00+08:00",
        )
    *digits, offset = match.groups()
    if offset is None and not local:
        raise RefusedValueError(
            "TIME_WITHOUT_OFFSET",
            "时间缺少时区，如 +08:00",
            "The time has no offset, such as +08:00, and is not guessed",
        )
    try:
        year, month, day, hour, minute, second = (int(digit or 0) for digit in digits)
        if year not in _YEARS:
            raise ValueError(year)
        moment = datetime(year, month, day, hour, minute, second, tzinfo=CST)
        if offset is not None:
            moment = moment.replace(tzinfo=_zone(offset.upper()))
        return from_datetime(moment)
    except ValueError:
        raise RefusedValueError("TIME_IMPOSSIBLE", "该时间不存在", "There is no such time") from None
