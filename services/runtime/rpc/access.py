"""The one seam through which every call passes before it is served: who calls what, and why.

Every caller gives a name, and every call about a person a purpose that its method may be called for. Where names are
proven, the table of access holds each call to what its caller may do: see `services.runtime.access.guard`.
"""

from collections.abc import Mapping
from typing import Protocol

from google.protobuf.message import Message
from hutong.common.v1.subject_pb2 import Purpose

from services.common.errors import Code, ServiceError, Text, Violation, invalid
from services.runtime.access.table import default_table
from services.runtime.rpc.call import Call

_PURPOSES = frozenset(Purpose.values())
# The enum looks its members up by name each time.
_UNSPECIFIED = Purpose.PURPOSE_UNSPECIFIED


class Guard(Protocol):
    """Admits a call or raises."""

    def admit(self, call: Call, method: str, request: Message) -> Purpose.ValueType:
        """Returns the purpose under which the call is served. Raises ServiceError when it may not be."""

    def stated(self, call: Call, method: str, request: Message) -> Purpose.ValueType:
        """Returns the purpose that a call states, whether it may be called for it or not. Raises ServiceError for one
        that states none, and for a caller without a name."""

    def admit_further(self, call: Call, method: str, request: Message) -> None:
        """Admits a further request of a stream whose first was admitted; the call has its purpose. Raises
        ServiceError."""


def laboratory_denied(field: str) -> ServiceError:
    """Returns the refusal of a laboratory that speaks for another, or changes another's record."""
    text = Text(
        "检测机构只可提交、更正、撤回本机构的记录", "A laboratory may submit, amend and retract its own records alone"
    )
    return ServiceError(
        Code.PERMISSION_DENIED, "LABORATORY_DENIED", text, [Violation(field, "LABORATORY_DENIED", text)]
    )


def purpose_denied() -> ServiceError:
    """Returns the refusal of a call for a purpose that is not one of its method's, or not one of its caller's."""
    text = Text("不得以此目的调用此方法", "The method may not be called for this purpose")
    return ServiceError(Code.PERMISSION_DENIED, "PURPOSE_DENIED", text)


class NamedCallers:
    """Admits every caller that gives a name, and every call that states the purpose its request has a field for, when
    the method may be called for it: of showing a code nothing is written, also where callers are taken at their word.

    `default_purpose` stands in where the contract allows the purpose to be left out, `defaults` another for single
    methods.
    """

    def __init__(
        self,
        default_purpose: Purpose.ValueType = Purpose.PURPOSE_UNSPECIFIED,
        defaults: Mapping[str, Purpose.ValueType] | None = None,
    ) -> None:
        self._default = default_purpose
        self._defaults = defaults or {}
        self._asks: dict[str, bool] = {}
        self._allowed = default_table().purposes

    def admit(self, call: Call, method: str, request: Message) -> Purpose.ValueType:
        """See Guard. Raises as `stated` does, and PERMISSION_DENIED (PURPOSE_DENIED)."""
        purpose = self.stated(call, method, request)
        if purpose != _UNSPECIFIED and purpose not in self._allowed.get(method, ()):
            raise purpose_denied()
        return purpose

    def stated(self, call: Call, method: str, request: Message) -> Purpose.ValueType:
        """See Guard. Raises UNAUTHENTICATED (CALLER_UNNAMED) or INVALID_ARGUMENT (PURPOSE_REQUIRED,
        PURPOSE_UNKNOWN)."""
        if not call.caller.strip():
            raise ServiceError(
                Code.UNAUTHENTICATED,
                "CALLER_UNNAMED",
                Text("须在元数据 hutong-caller 中说明调用方", "Name the caller in the metadata entry hutong-caller"),
            )
        asks = self._asks.get(method)
        if asks is None:
            asks = self._asks[method] = "purpose" in request.DESCRIPTOR.fields_by_name
        if not asks:
            return _UNSPECIFIED
        purpose: Purpose.ValueType = request.purpose or self._defaults.get(method, self._default)  # type: ignore[attr-defined]  # checked above
        if purpose == _UNSPECIFIED:
            raise invalid("purpose", "PURPOSE_REQUIRED", "须说明使用目的", "The purpose is required")
        if purpose not in _PURPOSES:
            raise invalid("purpose", "PURPOSE_UNKNOWN", "没有这种使用目的", "There is no such purpose")
        return purpose

    def admit_further(self, call: Call, method: str, request: Message) -> None:
        """See Guard: whoever began a stream goes on with it."""
