"""The instants that cells name. Nothing is guessed: what does not say day, time of day and zone is refused for what it
lacks."""

import re
from datetime import datetime, tzinfo
from functools import lru_cache

from cli.laboratory_files.cleaning import fold
from cli.laboratory_files.refusals import RefusedValueError
from services.common.instants import CST, DAY, Instant, from_datetime

_TIME = re.compile(
    r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?[ T]*(?<![\d/.-])(上午|下午|AM|PM)? *"
    r"(\d{1,2})[:时](\d{2})(?:[:分](\d{2})(?:\.\d{1,9})?秒?)?分?\s*(Z|[+-]\d{2}:?\d{2})?",
    re.ASCII | re.IGNORECASE,
)
_PLAIN = re.compile(
    r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})[ T]+()(\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d{1,9})?)?\s*(Z|[+-]\d{2}:?\d{2})?",
    re.ASCII | re.IGNORECASE,
)
_DIGITS = re.compile(r"(\d{4})(\d{2})(\d{2})()(\d{2})(\d{2})(\d{2})?()", re.ASCII)
# Years in which every zone's instant is one that protobuf can carry.
_YEARS = range(1970, 9999)
_NOON = 12

# What a cell looks like that names no instant, the reason, and what to do: the first that fits.
_UNCLEAR: tuple[tuple[re.Pattern[str], str, str, str], ...] = tuple(
    (re.compile(pattern, re.ASCII | re.IGNORECASE), reason, zh, en)
    for pattern, reason, zh, en in (
        (
            r"\d{1,6}(\.\d+)?",
            "TIME_SERIAL_NUMBER",
            "这是表格软件的日期序列号，不是时间；请把该列设为日期时间格式后重新导出",
            "This is a spreadsheet's serial number, not a time; format the column as date and time and export it again",
        ),
        (
            r"\d{4}[-/.年]\d{1,2}([-/.月]\d{1,2}日?|月?)|\d{8}",
            "TIME_WITHOUT_CLOCK",
            "只有日期，没有时刻；请写明几时几分",
            "There is a day, but no time of day; write the hour and the minute",
        ),
        (
            r"\d{10}|\d{13}",
            "TIME_UNIX",
            "这是程序的时间戳，不是日期时间；请写成 2022-08-05 13:20",
            "This is a program's count of seconds, not a date and time; write it like 2022-08-05 13:20",
        ),
        (
            r"\d{4}[-/.年]\d{1,2}[-/.月]\d{1,2}日?[ T]*(上午|下午)?\d{1,2}[时点]?",
            "TIME_WITHOUT_MINUTE",
            "只有小时，没有分钟；请写明几时几分",
            "There is an hour, but no minute; write both",
        ),
        (
            r"\d{1,2}:\d{2}(:\d{2})?(\.\d+)?",
            "TIME_WITHOUT_DAY",
            "只有时刻，没有日期（表格软件只显示了时分秒）；请显示完整日期后重新导出",
            "There is a time of day, but no day (a spreadsheet showed hours and minutes alone); export the whole date",
        ),
        (
            r"\d{1,2}[-/. ](\d{1,2}|[a-z]{3,9})[-/. ]\d{1,2}\b.*",
            "TIME_TWO_DIGIT_YEAR",
            "年份只有两位，日、月、年的次序不明；请写成 2022-08-05 13:20",
            "The year has two digits, so day, month and year cannot be told apart; write it like 2022-08-05 13:20",
        ),
        (
            r"\d{1,2}[-/. ](\d{1,2}|[a-z]{3,9})[-/. ]\d{4}.*",
            "TIME_DAY_ORDER",
            "日与月的次序不明；请写成 2022-08-05 13:20",
            "Whether the day or the month comes first is not clear; write it like 2022-08-05 13:20",
        ),
    )
)


def time(cell: str, local: bool) -> Instant | None:
    """Returns the instant a cell names, None when it is empty. Without an offset it is UTC+8 where `local`, else
    refused.

    Raises RefusedValueError.
    """
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
    """Returns the midnight a text names as a day, in UTC; None unless a cell may begin so."""
    return _or_none(f"{text}T00:00Z", local=False)


@lru_cache(1 << 15)
def _clock(text: str, local: bool) -> int | None:
    """Returns how far from a day's midnight in UTC a text names an instant, in microseconds; None unless a cell may end
    so."""
    instant = _or_none(f"1970-01-02T{text}", local)
    return None if instant is None else instant - DAY


def _or_none(cell: str, local: bool) -> Instant | None:
    if _PLAIN.fullmatch(fold(cell)) is None:
        return None
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
    match = _PLAIN.fullmatch(word) or _TIME.fullmatch(word) or _DIGITS.fullmatch(word)
    if match is None:
        raise _unclear(word)
    year, month, day, half, hour, minute, second, offset = match.groups()
    if not offset and not local:
        raise RefusedValueError(
            "TIME_WITHOUT_OFFSET",
            "时间缺少时区，如 +08:00",
            "The time has no offset, such as +08:00, and is not guessed",
        )
    hours = _hours(int(hour), half)
    try:
        if int(year) not in _YEARS:
            raise ValueError(year)
        moment = datetime(int(year), int(month), int(day), hours, int(minute), int(second or 0), tzinfo=CST)
        if offset:
            moment = moment.replace(tzinfo=_zone(offset.upper()))
        return from_datetime(moment)
    except ValueError:
        raise _impossible(int(month), int(minute), int(second or 0), hours) from None


def _hours(hour: int, half: str | None) -> int:
    if not half:
        if hour == 2 * _NOON:
            raise RefusedValueError(
                "TIME_24",
                "24:00 是当天结束还是次日零点，看不出来；请写成所指那天的 00:00",
                "Whether 24:00 is the end of this day or of the one before is not clear; write 00:00 of the day meant",
            )
        return hour
    if not 0 < hour < _NOON:
        raise RefusedValueError(
            "TIME_HALF_DAY",
            "上午、下午与所写的钟点不相配；请用 24 小时制",
            "Morning or afternoon does not go with that hour; write it by 24 hours",
        )
    return hour + _NOON * (half.upper() in ("下午", "PM"))


def _impossible(month: int, minute: int, second: int, hour: int) -> RefusedValueError:
    parts = (
        (month not in range(1, 13), "月份", "month"),
        (hour not in range(24), "小时", "hour"),
        (minute not in range(60), "分钟", "minute"),
        (second not in range(60), "秒数", "second"),
    )
    zh, en = next(((zh, en) for wrong, zh, en in parts if wrong), ("日期", "day"))
    return RefusedValueError("TIME_IMPOSSIBLE", f"该时间不存在：没有这样的{zh}", f"There is no such time: no such {en}")


def _unclear(word: str) -> RefusedValueError:
    for pattern, reason, zh, en in _UNCLEAR:
        if pattern.fullmatch(word):
            return RefusedValueError(reason, zh, en)
    return RefusedValueError(
        "TIME_FORMAT", "时间应如 2022-08-05 13:20 或 2022/8/5 9:05", "A time looks like 2022-08-05T13:20:00+08:00"
    )
