"""Errors as application/problem+json (RFC 9457), with the same reason as the ErrorInfo over gRPC."""

import math
from collections.abc import Mapping, Sequence
from http import HTTPStatus

from gateway.http.routing import Reply
from gateway.http.views.answer import encode
from gateway.http.views.errors import Problem, violations
from services.common.errors import NOTHING, Code, LimitExceeded, ServiceError, Text, Violation

CONTENT_TYPE = b"application/problem+json"
OVERLOADED = "OVERLOADED"
_RETRY = ((b"retry-after", b"1"),)

# As google.rpc.Code documents it.
STATUSES: Mapping[Code, int] = {
    Code.CANCELLED: 499,
    Code.UNKNOWN: 500,
    Code.INVALID_ARGUMENT: 400,
    Code.DEADLINE_EXCEEDED: 504,
    Code.NOT_FOUND: 404,
    Code.ALREADY_EXISTS: 409,
    Code.PERMISSION_DENIED: 403,
    Code.RESOURCE_EXHAUSTED: 429,
    Code.FAILED_PRECONDITION: 400,
    Code.ABORTED: 409,
    Code.OUT_OF_RANGE: 400,
    Code.UNIMPLEMENTED: 501,
    Code.INTERNAL: 500,
    Code.UNAVAILABLE: 503,
    Code.DATA_LOSS: 500,
    Code.UNAUTHENTICATED: 401,
}

_TITLES: Mapping[int, Text] = {
    400: Text("请求有误", "Bad request"),
    401: Text("未认证", "Unauthenticated"),
    403: Text("无权限", "Permission denied"),
    404: Text("不存在", "Not found"),
    405: Text("方法不适用", "Method not allowed"),
    409: Text("冲突", "Conflict"),
    413: Text("请求体过大", "Request body too large"),
    415: Text("内容类型不支持", "Unsupported content type"),
    431: Text("请求头过大", "Request head too large"),
    429: Text("请求过多", "Too many requests"),
    499: Text("已取消", "Cancelled"),
    500: Text("内部错误", "Internal error"),
    501: Text("未实现", "Not implemented"),
    503: Text("暂时无法回答", "Unavailable"),
    504: Text("超时", "Deadline exceeded"),
}


class HttpError(Exception):
    """An error that only HTTP knows, such as a wrong method."""

    def __init__(self, status: int, reason: str, text: Text, headers: Sequence[tuple[bytes, bytes]] = ()) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.text = text
        self.headers = headers


def problem(
    status: int,
    reason: str,
    text: Text,
    trace_id: str,
    *,
    refused: Sequence[Violation] = (),
    headers: Sequence[tuple[bytes, bytes]] = (),
    metadata: Mapping[str, str] = NOTHING,
) -> Reply:
    """Returns the reply of a problem."""
    body = Problem(
        _type(reason), str(_TITLES[status]), status, str(text), reason, violations(refused), trace_id, dict(metadata)
    )
    return Reply(encode(body), status, CONTENT_TYPE, headers)


def of_error(error: ServiceError, trace_id: str) -> Reply:
    """Returns the reply for an error of a service."""
    # HTTP has a word for a server with too much to do; 429 is for one caller's share.
    status = 503 if error.reason == OVERLOADED else STATUSES[error.code]
    headers: Sequence[tuple[bytes, bytes]] = ()
    if isinstance(error, LimitExceeded):
        # Whole seconds, as RFC 9110 has them: never too early.
        headers = ((b"retry-after", b"%d" % max(1, math.ceil(error.retry_seconds))),)
    elif status in (429, 503):
        headers = _RETRY
    elif status == 401:
        headers = ((b"www-authenticate", _challenge(error.reason)),)
    return problem(
        status, error.reason, error.text, trace_id, refused=error.violations, headers=headers, metadata=error.metadata
    )


def _challenge(reason: str) -> bytes:
    """Returns what a client is told to show (RFC 6750, section 3); of a token that was shown, what is wrong with it."""
    if reason == "TOKEN_MISSING":
        return b'Bearer realm="hutong"'
    return b'Bearer realm="hutong", error="invalid_token", error_description="%s"' % reason.encode()


def refusal(status: int, reason: str, text: Text) -> bytes:
    """Returns the whole of an answer to what is no request, after which its connection ends. It belongs to no trace."""
    body = problem(status, reason, text, "0" * 32).body
    phrase = HTTPStatus(status).phrase
    head = f"HTTP/1.1 {status} {phrase}\r\ncontent-type: {CONTENT_TYPE.decode()}\r\ncontent-length: {len(body)}\r\n"
    return head.encode() + b"connection: close\r\n\r\n" + body


def _type(reason: str) -> str:
    return f"urn:hutong:reason:{reason}"
