"""The errors a caller may see. Each has a gRPC code, one stable reason, and a text for people."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType


class Code(IntEnum):
    """The gRPC status codes in use, by their numbers on the wire."""

    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


@dataclass(frozen=True, slots=True)
class Text:
    """A text for people: Chinese first, with English."""

    zh: str
    en: str

    def __str__(self) -> str:
        return f"{self.zh} / {self.en}"


@dataclass(frozen=True, slots=True)
class Violation:
    """The refusal of one field. `field` is its path in the request, `reason` stable and in upper snake case."""

    field: str
    reason: str
    text: Text


NOTHING: Mapping[str, str] = MappingProxyType({})


class ServiceError(Exception):
    """An error that reaches the caller as it is: code, reason, text, for bad input the fields, and `metadata`: what a
    program needs to act on the reason, by names that stay the same, such as `current_revision`."""

    def __init__(
        self,
        code: Code,
        reason: str,
        text: Text,
        violations: Sequence[Violation] = (),
        metadata: Mapping[str, str] = NOTHING,
    ) -> None:
        super().__init__(code, reason, text, violations)
        self.code = code
        self.reason = reason
        self.text = text
        self.violations = tuple(violations)
        self.metadata = metadata

    def __str__(self) -> str:
        fields = "".join(f"; {v.field}: {v.text}" for v in self.violations)
        return f"{self.reason}: {self.text}{fields}"


class InvalidArgument(ServiceError):
    """The request cannot be right whatever the state of the system; the violations name every wrong field."""

    def __init__(self, *violations: Violation) -> None:
        super().__init__(
            Code.INVALID_ARGUMENT, "INVALID_ARGUMENT", Text("请求有误", "The request is not valid"), violations
        )


def invalid(field: str, reason: str, zh: str, en: str) -> InvalidArgument:
    """The error for one wrong field."""
    return InvalidArgument(Violation(field, reason, Text(zh, en)))


class NotFound(ServiceError):
    """The error for a name that nothing has. Never raised because something could not be asked."""

    def __init__(self, reason: str, zh: str, en: str) -> None:
        super().__init__(Code.NOT_FOUND, reason, Text(zh, en))


class AlreadyExists(ServiceError):
    """Something else is stored under that name."""

    def __init__(self, reason: str, zh: str, en: str, metadata: Mapping[str, str] = NOTHING) -> None:
        super().__init__(Code.ALREADY_EXISTS, reason, Text(zh, en), (), metadata)


class FailedPrecondition(ServiceError):
    """Right in itself, but not in the present state; retrying unchanged does not help."""

    def __init__(self, reason: str, zh: str, en: str, metadata: Mapping[str, str] = NOTHING) -> None:
        super().__init__(Code.FAILED_PRECONDITION, reason, Text(zh, en), (), metadata)


class Unavailable(ServiceError):
    """Could not be asked; a retry may help."""

    def __init__(self, reason: str, zh: str, en: str, metadata: Mapping[str, str] = NOTHING) -> None:
        super().__init__(Code.UNAVAILABLE, reason, Text(zh, en), (), metadata)


LIMIT_EXCEEDED = "LIMIT_EXCEEDED"


class LimitExceeded(ServiceError):
    """The caller asked more than it may. `limit` is the limit's name, `retry_seconds` after how long what was asked
    would be answered if nothing else is asked meanwhile."""

    def __init__(self, limit: str, retry_seconds: float) -> None:
        super().__init__(
            Code.RESOURCE_EXHAUSTED,
            LIMIT_EXCEEDED,
            Text(f"请求过多，超出限额 {limit}", f"Too many requests: the limit {limit} is exceeded"),
            metadata={"limit": limit},
        )
        self.limit = limit
        self.retry_seconds = retry_seconds


class DeadlineExceeded(ServiceError):
    """No time was left."""

    def __init__(self, zh: str = "超时", en: str = "The deadline has passed") -> None:
        super().__init__(Code.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED", Text(zh, en))
