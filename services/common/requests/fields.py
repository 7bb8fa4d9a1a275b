"""Rules for each kind of field. A rule takes a value and the field's path in its request and returns what is wrong.

The reasons are stable, for callers to act upon; each rule names its own.
"""

import re
from collections.abc import Callable, Iterable, Mapping

from hutong.common.v1.subject_pb2 import Subject
from hutong.lookup.v1.region_pb2 import Scope

from services.common.documents import holds_number, holds_number_of
from services.common.errors import Violation
from services.common.regions import divisions
from services.common.requests.violations import violation

MOST_CAUSE = 500
"""Characters a cause may have."""
MOST_ID = 64
"""Characters an id may have."""

_WRITER = re.compile(r"spiffe://[A-Za-z0-9._/-]{1,2039}")
_LABORATORY = re.compile(r"[a-z0-9-]{1,64}")
_SITE = re.compile(r"[0-9]{6}")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_SCOPES = frozenset((Scope.SCOPE_LOCAL, Scope.SCOPE_NATIONAL))


def printable_id(value: str, field: str, what: str, zh: str, en: str) -> list[Violation]:
    """An id of 1 to 64 printable characters, not beginning or ending with a blank. Reasons {what}_REQUIRED,
    {what}_FORMAT, DOCUMENT_NUMBER_NOT_ALLOWED."""
    if not value:
        return violation(field, f"{what}_REQUIRED", f"须填写{zh}", f"The {en} is required")
    if holds_number(value):
        return _document_number(field)
    if len(value) > MOST_ID or not value.isprintable() or value[0] == " " or value[-1] == " ":
        return violation(
            field,
            f"{what}_FORMAT",
            f"{zh}应为1至64个可见字符，首尾不含空格",
            f"The {en} has 1 to 64 printable characters and no blank at its ends",
        )
    return []


def no_number(text: str, field: str) -> list[Violation]:
    """A text in which no resident's or permanent resident's number may stand: such a field is stored, logged and shown.
    Reason DOCUMENT_NUMBER_NOT_ALLOWED."""
    return _document_number(field) if holds_number(text) else []


def writer(value: str, field: str) -> list[Violation]:
    """The name of who wrote a revision: a SPIFFE id, or empty where it is not known. Reasons WRITER_FORMAT,
    DOCUMENT_NUMBER_NOT_ALLOWED."""
    if holds_number(value):
        return _document_number(field)
    if value and not _WRITER.fullmatch(value):
        return violation(field, "WRITER_FORMAT", "写入者应为SPIFFE标识", "The writer is named by a SPIFFE id")
    return []


def not_the_subjects(texts: Mapping[str, str], *subjects: Subject) -> list[Violation]:
    """Texts, by field, in which no number of these people's own documents may stand, of whatever type. Reason
    DOCUMENT_NUMBER_NOT_ALLOWED."""
    documents = [subject.document for subject in subjects if subject.WhichOneof("subject") == "document"]
    return [
        wrong
        for field, text in texts.items()
        if any(holds_number_of(document, text) for document in documents)
        for wrong in _document_number(field)
    ]


def _document_number(field: str) -> list[Violation]:
    return violation(
        field,
        "DOCUMENT_NUMBER_NOT_ALLOWED",
        "此处不得填写证件号码",
        "No document number may be written here",
    )


def certificate(text: str, field: str = "text") -> list[Violation]:
    """The text of a certificate; whether it is one is for the stages of reading it to say. Reason
    CERTIFICATE_REQUIRED."""
    if text.strip():
        return []
    return violation(field, "CERTIFICATE_REQUIRED", "须填写证书文本", "The certificate's text is required")


def source_id(value: str, field: str = "source_id") -> list[Violation]:
    """The laboratory's id of a sample. Reasons SOURCE_ID_REQUIRED, SOURCE_ID_FORMAT, DOCUMENT_NUMBER_NOT_ALLOWED."""
    return printable_id(value, field, "SOURCE_ID", "样本编号", "sample's id")


def laboratory_id(value: str, field: str = "laboratory") -> list[Violation]:
    """A laboratory's id within the mesh. Reasons LABORATORY_REQUIRED, LABORATORY_FORMAT,
    DOCUMENT_NUMBER_NOT_ALLOWED."""
    if not value:
        return violation(field, "LABORATORY_REQUIRED", "须填写检测机构", "The laboratory is required")
    if not _LABORATORY.fullmatch(value):
        return violation(
            field,
            "LABORATORY_FORMAT",
            "检测机构编号应为1至64个小写字母、数字或连字符",
            "A laboratory's id has 1 to 64 characters of a-z, 0-9 and hyphen",
        )
    return no_number(value, field)


def region(code: str, field: str = "region") -> list[Violation]:
    """A province-level division. Reasons REGION_REQUIRED, REGION_UNKNOWN."""
    if code in divisions():
        return []
    if not code:
        return violation(field, "REGION_REQUIRED", "须填写地区代码", "The region's code is required")
    return violation(
        field,
        "REGION_UNKNOWN",
        "地区代码不存在，应为省级行政区划代码，如110000",
        "No such province-level code; one is 110000",
    )


def origin(region_code: str, sample_id: str) -> list[Violation]:
    """The result that a claim names, by `origin_region` and `origin_source_id`, or neither. Reasons ORIGIN_INCOMPLETE,
    REGION_UNKNOWN, SOURCE_ID_FORMAT."""
    if not region_code and not sample_id:
        return []
    if not region_code or not sample_id:
        return violation(
            "origin_source_id" if region_code else "origin_region",
            "ORIGIN_INCOMPLETE",
            "来源地区与来源编号须同时填写或同时省略",
            "Give the origin's region and id, or neither",
        )
    return region(region_code, "origin_region") + source_id(sample_id, "origin_source_id")


def scope(value: int, field: str = "scope", *, required: bool = False) -> list[Violation]:
    """Checks the database that is looked at. Reasons SCOPE_UNKNOWN and, where it is required, SCOPE_REQUIRED."""
    if value in _SCOPES or not (value or required):
        return []
    reason = "SCOPE_UNKNOWN" if value else "SCOPE_REQUIRED"
    return violation(field, reason, "范围应为 LOCAL 或 NATIONAL", "The scope is LOCAL or NATIONAL")


def site(value: str, field: str = "site") -> list[Violation]:
    """A GB/T 2260 code of any level. Reasons SITE_REQUIRED, SITE_FORMAT."""
    if not value:
        return violation(field, "SITE_REQUIRED", "须填写采样地代码", "The place of sampling is required")
    if not _SITE.fullmatch(value):
        return violation(
            field, "SITE_FORMAT", "采样地代码应为6位数字", "The place of sampling is a GB/T 2260 code of 6 digits"
        )
    return []


def cause(value: str, field: str = "cause") -> list[Violation]:
    """Checks the cause of a change, 1 to 500 characters. Reasons CAUSE_REQUIRED, CAUSE_TOO_LONG,
    DOCUMENT_NUMBER_NOT_ALLOWED."""
    if not value.strip():
        return violation(field, "CAUSE_REQUIRED", "须填写原因", "The cause is required")
    if len(value) > MOST_CAUSE:
        return violation(field, "CAUSE_TOO_LONG", "原因不得超过500字", "The cause has at most 500 characters")
    return no_number(value, field)


def request_id(value: str, field: str = "request_id") -> list[Violation]:
    """A UUID as RFC 9562 writes it, or nothing. Reasons REQUEST_ID_FORMAT, DOCUMENT_NUMBER_NOT_ALLOWED: eighteen digits
    fit into a UUID, and it is stored."""
    if value and not _UUID.fullmatch(value):
        return violation(
            field,
            "REQUEST_ID_FORMAT",
            "请求编号应为UUID，如123e4567-e89b-12d3-a456-426614174000",
            "The request's id is a UUID, like 123e4567-e89b-12d3-a456-426614174000",
        )
    return no_number(value.replace("-", ""), field)


def revision(value: int, field: str = "revision") -> list[Violation]:
    """The revision a change rests on. Reason REVISION_REQUIRED."""
    if value < 1:
        return violation(
            field, "REVISION_REQUIRED", "须指明所依据的版本，从1起", "The revision is required, counted from 1"
        )
    return []


def enumerated(numbers: Iterable[int], what: str, zh: str, en: str) -> Callable[[int, str], list[Violation]]:
    """Makes the rule for a field that needs one of an enum's numbers other than 0. Reasons {what}_REQUIRED,
    {what}_UNKNOWN."""
    known = frozenset(numbers) - {0}

    def rule(value: int, field: str) -> list[Violation]:
        if value in known:
            return []
        if not value:
            return violation(field, f"{what}_REQUIRED", f"须填写{zh}", f"The {en} is required")
        return violation(field, f"{what}_UNKNOWN", f"{zh}未知", f"The {en} is not known")

    return rule
