"""Errors on the wire: google.rpc.Status with one ErrorInfo, BadRequest for fields, LocalizedMessage for people.

Nothing of an unexpected exception reaches the caller but its trace id.
"""

from datetime import timedelta

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, LocalizedMessage, QuotaFailure, RetryInfo
from google.rpc.status_pb2 import Status
from hutong.common.v1.error_pb2 import Error, FieldViolation
from hutong.common.v1.text_pb2 import LocalizedText

from services.common.errors import Code, LimitExceeded, ServiceError, Text, Unavailable, Violation

DOMAIN = "hutong"
DETAILS_KEY = "grpc-status-details-bin"

STATUS_CODES: dict[int, grpc.StatusCode] = {status.value[0]: status for status in grpc.StatusCode}

_BROKEN_OFF = "Internal error from Core"
"""What grpc.aio says, with code INTERNAL and whatever the true reason, when a request of a stream could not be sent:
its server has ended the stream or is gone."""


DRAINING = "DRAINING"
_RETRY_SECONDS = {DRAINING: 0.1, "OVERLOADED": 1.0, "TOO_MANY_WAITING": 1.0}
"""By reason, after how long another attempt makes sense."""


def draining() -> Unavailable:
    """Returns the error of a stream whose server is about to stop."""
    return Unavailable(DRAINING, "服务即将停止，请重新连接", "The service is about to stop; connect again")


def internal(trace_id: str) -> ServiceError:
    """Returns the error that a caller sees of an unexpected exception."""
    return ServiceError(
        Code.INTERNAL, "INTERNAL", Text(f"内部错误，追踪号 {trace_id}", f"Internal error, trace {trace_id}")
    )


def _localized(text: Text) -> list[LocalizedMessage]:
    return [LocalizedMessage(locale="zh-CN", message=text.zh), LocalizedMessage(locale="en", message=text.en)]


_VIOLATION_BYTES = 3_000
"""What field violations may take of a status. Trailers travel in one header block, of at most 8 KiB by default, and a
third larger in base64; a status that does not fit reaches the caller as RESOURCE_EXHAUSTED, with nothing in it."""


def _told(violations: tuple[Violation, ...]) -> list[BadRequest.FieldViolation]:
    """As many as fit, the rest counted in one more."""
    told: list[BadRequest.FieldViolation] = []
    room = _VIOLATION_BYTES
    for violation in violations:
        message = BadRequest.FieldViolation(
            field=violation.field,
            description=violation.text.en,
            reason=violation.reason,
            localized_message=LocalizedMessage(locale="zh-CN", message=violation.text.zh),
        )
        room -= message.ByteSize()
        if room < 0 and told:
            more = len(violations) - len(told)
            zh = LocalizedMessage(locale="zh-CN", message=f"另有{more}处错误")
            told.append(
                BadRequest.FieldViolation(
                    description=f"{more} more are wrong", reason="MORE_VIOLATIONS", localized_message=zh
                )
            )
            break
        told.append(message)
    return told


def to_status(error: ServiceError) -> Status:
    """The google.rpc.Status of an error, with as many field violations as can travel."""
    status = Status(code=error.code, message=str(error.text))
    details: list[Message] = [ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.metadata)]
    if error.violations:
        details.append(BadRequest(field_violations=_told(error.violations)))
    details.extend(_localized(error.text))
    if error.reason in _RETRY_SECONDS:
        retry = RetryInfo()
        retry.retry_delay.FromTimedelta(timedelta(seconds=_RETRY_SECONDS[error.reason]))
        details.append(retry)
    if isinstance(error, LimitExceeded):
        retry = RetryInfo()
        retry.retry_delay.FromTimedelta(timedelta(seconds=error.retry_seconds))
        details.append(retry)
        details.append(
            QuotaFailure(violations=[QuotaFailure.Violation(subject=error.limit, description=error.text.en)])
        )
    for detail in details:
        packed = Any()
        packed.Pack(detail)
        status.details.append(packed)
    return status


def _from_status(status: Status) -> ServiceError:
    reason = limit = ""
    seconds = 0.0
    texts: dict[str, str] = {}
    violations: list[Violation] = []
    metadata: dict[str, str] = {}
    for packed in status.details:
        info, bad, local = ErrorInfo(), BadRequest(), LocalizedMessage()
        quota, retry = QuotaFailure(), RetryInfo()
        if packed.Unpack(info):
            reason = info.reason
            metadata = dict(info.metadata)
        elif packed.Unpack(local):
            texts[local.locale] = local.message
        elif packed.Unpack(quota) and quota.violations:
            limit = quota.violations[0].subject
        elif packed.Unpack(retry):
            seconds = retry.retry_delay.ToTimedelta().total_seconds()
        elif packed.Unpack(bad):
            violations.extend(
                Violation(field.field, field.reason, Text(field.localized_message.message, field.description))
                for field in bad.field_violations
            )
    if limit:
        return LimitExceeded(limit, seconds)
    text = Text(texts.get("zh-CN", status.message), texts.get("en", status.message))
    return ServiceError(Code(status.code), reason or Code(status.code).name, text, violations, metadata)


def from_rpc_error(error: grpc.aio.AioRpcError, service: str) -> ServiceError:
    """The error a call to `service` ended in. Without details of ours, a connection or a stream that broke off is
    UNAVAILABLE with reason SERVICE_UNREACHABLE, and anything else keeps its code's name as its reason."""
    for key, value in error.trailing_metadata() or ():
        if key == DETAILS_KEY and isinstance(value, bytes):
            return _from_status(Status.FromString(value))
    code = Code(error.code().value[0])
    if code in (Code.UNAVAILABLE, Code.CANCELLED) or error.details() == _BROKEN_OFF:
        # A call cancelled on this side raises CancelledError: this one was cut off by a server that stops.
        return Unavailable("SERVICE_UNREACHABLE", f"{service} 服务无法连接", f"The {service} service cannot be reached")
    if code is Code.DEADLINE_EXCEEDED:
        return ServiceError(
            code,
            "DEADLINE_EXCEEDED",
            Text(f"{service} 服务未及时应答", f"The {service} service did not answer in time"),
        )
    failed = Text(f"{service} 服务出错：{code.name}", f"The {service} service failed: {code.name}")
    return ServiceError(code, code.name, failed)


def to_item_error(error: ServiceError) -> Error:
    """The same error as one item's outcome within a batch."""
    return Error(
        code=error.code,
        reason=error.reason,
        message=LocalizedText(zh=error.text.zh, en=error.text.en),
        violations=to_violations(error.violations),
        metadata=error.metadata,
    )


def to_violations(violations: tuple[Violation, ...]) -> list[FieldViolation]:
    """Field violations as messages."""
    return [
        FieldViolation(field=v.field, reason=v.reason, message=LocalizedText(zh=v.text.zh, en=v.text.en))
        for v in violations
    ]


def from_item_error(error: Error) -> ServiceError:
    """The error an item of a batch ended in."""
    return ServiceError(
        Code(error.code),
        error.reason,
        Text(error.message.zh, error.message.en),
        [Violation(v.field, v.reason, Text(v.message.zh, v.message.en)) for v in error.violations],
        dict(error.metadata),
    )
