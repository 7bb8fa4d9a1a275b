"""Errors, as a problem (RFC 9457) or as one item of a batch."""

import re
from collections.abc import Iterable
from typing import Annotated

import msgspec

from gateway.http.fields import described
from gateway.http.views.answer import Answer, Text, text_of
from services.common import errors

Metadata = Annotated[
    dict[str, str],
    described(
        "程序可据此处理的细节，名称同 gRPC 的 ErrorInfo。 "
        "What a program acts on, by the names of the ErrorInfo over gRPC.",
        examples=[{"limit": "code-per-address"}],
    ),
]


class Violation(Answer, frozen=True):
    """一个字段为何被拒。 Why one field was refused."""

    field: Annotated[
        str,
        described(
            "字段路径；空为整个请求。 The field's path; empty for the request as a whole.", examples=["document.number"]
        ),
    ]
    reason: Annotated[str, described("稳定原因。 A stable reason.", examples=["DOCUMENT_NUMBER_CHECK"])]
    message: Text


class ItemError(Answer, frozen=True):
    """批量中一项的错误。 Why one item has no answer."""

    status: Annotated[
        str, described("gRPC 状态码名。 The name of the gRPC status.", enum=[code.name for code in errors.Code])
    ]
    reason: Annotated[str, described("稳定原因。 A stable reason.")]
    message: Text
    violations: Annotated[list[Violation], described("出错的字段。 The wrong fields.")]
    metadata: Metadata


class Problem(msgspec.Struct, rename="camel", frozen=True, gc=False):
    """错误，RFC 9457；reason 与 gRPC 的 ErrorInfo 相同。 An error; reason is the same as the ErrorInfo's over gRPC."""

    type: Annotated[str, described("urn:hutong:reason:REASON")]
    title: Annotated[str, described("类别。 The kind of error.")]
    status: Annotated[int, described("HTTP 状态码。 The HTTP status.")]
    detail: Annotated[str, described("说明。 What happened.")]
    reason: Annotated[str, described("稳定原因。 A stable reason.", pattern="^[A-Z0-9_]+$")]
    violations: Annotated[list[Violation], described("出错的字段。 The wrong fields.")]
    trace_id: Annotated[str, described("追踪号。 The trace's id.", pattern="^[0-9a-f]{32}$")]
    metadata: Metadata


def violations(refused: Iterable[errors.Violation]) -> list[Violation]:
    """Shows the refused fields by the names they have in JSON."""
    return [Violation(json_path(one.field), one.reason, text_of(one.text)) for one in refused]


def item_error(error: errors.ServiceError) -> ItemError:
    """Shows why one item of a batch has no answer."""
    return ItemError(
        error.code.name, error.reason, text_of(error.text), violations(error.violations), dict(error.metadata)
    )


def json_path(field: str) -> str:
    """Writes the path of a field in JSON from its path in the contract: origin_region is originRegion."""
    return re.sub(r"_([a-z])", lambda letter: letter[1].upper(), field)
