"""The rules every field of a request must keep (protos/hutong/records/v1/*.proto), one violation per wrong field."""

import re
from collections.abc import Callable, Iterable

from google.protobuf.timestamp_pb2 import Timestamp

from services.common.errors import Text, Violation
from services.common.instants import Instant, from_timestamp
from services.common.regions import divisions

MOST_CAUSE = 500
MOST_ID = 64

_LABORATORY = re.compile(r"[a-z0-9-]{1,64}")
_SITE = re.compile(r"[0-9]{6}")
_REQUEST_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
# 0001-01-01 to 9999-12-31, as google.protobuf.Timestamp allows.
_LEAST_SECONDS, _MOST_SECONDS = -62_135_596_800, 253_402_300_799


def wrong(field: str, reason: str, zh: str, en: str) -> list[Violation]:
    """One violation."""
    return [Violation(field, reason, Text(zh, en))]


def printable_id(value: str, field: str, what: str, zh: str, en: str) -> list[Violation]:
    """An id of 1 to 64 printable characters, not beginning or ending with a blank. Reasons {what}_REQUIRED, _FORMAT."""
    if not value:
        return wrong(field, f"{what}_REQUIRED", f"须填写{zh}", f"The {en} is required")
    if len(value) > MOST_ID or not value.isprintable() or value[0] == " " or value[-1] == " ":
        return wrong(
            field,
            f"{what}_FORMAT",
            f"{zh}应为1至64个可见字符，首尾不含空格",
            f"The {en} has 1 to 64 printable characters and no blank at its ends",
        )
    return []


def source_id(value: str, field: str) -> list[Violation]:
    """The laboratory's id of a sample."""
    return printable_id(value, field, "SOURCE_ID", "样本编号", "sample's id")


def laboratory_id(value: str, field: str) -> list[Violation]:
    """A laboratory's id within the mesh. Reasons LABORATORY_REQUIRED, LABORATORY_FORMAT."""
    if not value:
        return wrong(field, "LABORATORY_REQUIRED", "须填写检测机构", "The laboratory is required")
    if not _LABORATORY.fullmatch(value):
        return wrong(
            field,
            "LABORATORY_FORMAT",
            "检测机构编号应为1至64个小写字母、数字或连字符",
            "A laboratory's id has 1 to 64 characters of a-z, 0-9 and hyphen",
        )
    return []


def region(value: str, field: str) -> list[Violation]:
    """A province-level division. Reasons REGION_REQUIRED, REGION_UNKNOWN."""
    if not value:
        return wrong(field, "REGION_REQUIRED", "须填写地区代码", "The region's code is required")
    if value not in divisions():
        return wrong(
            field,
            "REGION_UNKNOWN",
            "地区代码不存在，应为省级行政区划代码，如110000",
            "No such province-level code; one is 110000",
        )
    return []


def site(value: str, field: str) -> list[Violation]:
    """A GB/T 2260 code of any level. Reasons SITE_REQUIRED, SITE_FORMAT."""
    if not value:
        return wrong(field, "SITE_REQUIRED", "须填写采样地代码", "The place of sampling is required")
    if not _SITE.fullmatch(value):
        return wrong(
            field, "SITE_FORMAT", "采样地代码应为6位数字", "The place of sampling is a GB/T 2260 code of 6 digits"
        )
    return []


def cause(value: str, field: str = "cause") -> list[Violation]:
    """Why something was changed, 1 to 500 characters. Reasons CAUSE_REQUIRED, CAUSE_TOO_LONG."""
    if not value.strip():
        return wrong(field, "CAUSE_REQUIRED", "须填写原因", "The cause is required")
    if len(value) > MOST_CAUSE:
        return wrong(field, "CAUSE_TOO_LONG", "原因不得超过500字", "The cause has at most 500 characters")
    return []


def request_id(value: str, field: str = "request_id") -> list[Violation]:
    """A UUID, or nothing. Reason REQUEST_ID_FORMAT."""
    if value and not _REQUEST_ID.fullmatch(value):
        return wrong(field, "REQUEST_ID_FORMAT", "请求编号应为UUID", "The request's id is a UUID")
    return []


def revision(value: int, field: str = "revision") -> list[Violation]:
    """The revision a change rests on. Reason REVISION_REQUIRED."""
    if value < 1:
        return wrong(
            field, "REVISION_REQUIRED", "须指明所依据的版本，从1起", "The revision is required, counted from 1"
        )
    return []


def enumerated(numbers: Iterable[int], what: str, zh: str, en: str) -> Callable[[int, str], list[Violation]]:
    """A rule for a field that needs one of an enum's numbers other than 0. Reasons {what}_REQUIRED, {what}_UNKNOWN."""
    known = frozenset(numbers) - {0}

    def rule(value: int, field: str) -> list[Violation]:
        if value in known:
            return []
        if not value:
            return wrong(field, f"{what}_REQUIRED", f"须填写{zh}", f"The {en} is required")
        return wrong(field, f"{what}_UNKNOWN", f"{zh}未知", f"The {en} is not known")

    return rule


def instant(value: Timestamp, field: str, what: str) -> list[Violation]:
    """A timestamp within the calendar. Reason {what}_INVALID."""
    if _LEAST_SECONDS <= value.seconds <= _MOST_SECONDS and 0 <= value.nanos < 1_000_000_000:
        return []
    return wrong(field, f"{what}_INVALID", "时间无效", "The time is not valid")


def not_after(value: Timestamp, latest: Instant, field: str, reason: str, zh: str) -> list[Violation]:
    """A timestamp that must not lie beyond an instant."""
    if from_timestamp(value) > latest:
        return wrong(field, reason, f"{zh}不能在将来", "The time lies in the future")
    return []
