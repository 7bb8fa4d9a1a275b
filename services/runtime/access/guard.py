"""Holds each call against the table, under the name that its certificate proves."""

from collections.abc import Callable, Collection, Iterable, Iterator
from functools import partial
from typing import Any

from google.protobuf.message import Message
from hutong.common.v1.subject_pb2 import Purpose

from services.common.errors import Code, ServiceError, Text, Violation
from services.runtime.access.persons import NamedPersons
from services.runtime.access.table import AccessTable, Denial
from services.runtime.rpc.access import Guard, laboratory_denied, purpose_denied
from services.runtime.rpc.call import Call
from services.runtime.tls.identity import ANONYMOUS, region_of


def _token_missing() -> ServiceError:
    text = Text("须出示令牌（Authorization: Bearer …）", "A token is required (Authorization: Bearer …)")
    return ServiceError(Code.UNAUTHENTICATED, "TOKEN_MISSING", text)


def _origin_denied(field: str) -> ServiceError:
    text = Text(
        "检测机构不得提交其他地区记录的副本", "A laboratory reports its own tests, and no copy of another region's"
    )
    return ServiceError(Code.PERMISSION_DENIED, "ORIGIN_DENIED", text, [Violation(field, "ORIGIN_DENIED", text)])


def _error(denial: Denial) -> ServiceError:
    if denial.reason == "PURPOSE_DENIED":
        return purpose_denied()
    if denial.reason == "REGION_DENIED":
        text = Text("调用方不得代表该地区", "The caller may not act for this region")
        where = [Violation(denial.field, "REGION_DENIED", text)] if denial.field else []
        return ServiceError(Code.PERMISSION_DENIED, "REGION_DENIED", text, where)
    if denial.reason == "PERSON_DENIED":
        text = Text("调用方只可查询本人及被监护人", "The caller may ask about itself and its dependants alone")
        return ServiceError(Code.PERMISSION_DENIED, "PERSON_DENIED", text)
    if denial.reason == "LABORATORY_DENIED":
        return laboratory_denied(denial.field)
    if denial.reason == "ORIGIN_DENIED":
        return _origin_denied(denial.field)
    text = Text("调用方无权调用此方法", "The caller may not call this method")
    return ServiceError(Code.PERMISSION_DENIED, "ACCESS_DENIED", text)


class TableGuard:
    """Admits what the table allows, for the purpose that a call states as `named` has it. `here` are the regions
    whose store this is, none for a service that is no region's: where a request names no region, a grant about a
    caller's own region is one about this store, and is given where the store is that region's alone. `persons` finds
    whom a request names, where grants are about people of the caller's own; without it, everybody it names is somebody
    else."""

    def __init__(
        self, table: AccessTable, named: Guard, here: Collection[str] = (), persons: NamedPersons | None = None
    ) -> None:
        self._table = table
        self._named = named
        self._here = frozenset(here)
        self._persons = persons
        self._fields: dict[str, Callable[[Message], Iterator[tuple[str, str]]]] = {
            method: _fields(rule.regions) for method, rule in table.rules.items()
        }
        self._laboratories = {method: _fields(rule.laboratories) for method, rule in table.rules.items()}
        self._origins = {method: _fields(rule.origins) for method, rule in table.rules.items()}

    def admit(self, call: Call, method: str, request: Message) -> Purpose.ValueType:
        """Returns the purpose under which the call is served. Raises as `stated` does, and PERMISSION_DENIED with
        reason ACCESS_DENIED, PURPOSE_DENIED, REGION_DENIED, LABORATORY_DENIED, ORIGIN_DENIED or PERSON_DENIED; of
        who has no name, UNAUTHENTICATED (TOKEN_MISSING). Never a word about a person."""
        purpose = self._named.stated(call, method, request)
        self._check(call, method, purpose, request)
        return purpose

    def stated(self, call: Call, method: str, request: Message) -> Purpose.ValueType:
        """See Guard."""
        return self._named.stated(call, method, request)

    def admit_further(self, call: Call, method: str, request: Message) -> None:
        """See Guard. Raises as `admit` does."""
        self._check(call, method, call.purpose, request)

    def _check(self, call: Call, method: str, purpose: Purpose.ValueType, request: Message) -> None:
        regions = self._fields.get(method)
        denial = (
            Denial("ACCESS_DENIED")
            if regions is None
            else self._table.check(
                call.caller,
                method,
                purpose,
                self._about(call.caller, method, regions(request)),
                partial(self._about_others, call, request),
                lambda: self._laboratories[method](request),
                lambda: self._origins[method](request),
            )
        )
        if denial is not None:
            raise _token_missing() if call.caller == ANONYMOUS else _error(denial)

    def _about_others(self, call: Call, request: Message) -> bool:
        if self._persons is None:
            return True
        own = call.persons
        return any(person not in own for person in self._persons.of(request))

    def _about(self, caller: str, method: str, regions: Iterator[tuple[str, str]]) -> Iterable[tuple[str, str]]:
        own = region_of(caller)
        if not self._here or self._here == {own}:
            return regions
        named = list(regions)
        # The opening of an intake has no rows yet: what comes says of which region it is.
        if named or (own in self._here and self._table.rules[method].regions):
            return named
        return [("", "")]


def _fields(paths: Iterable[str]) -> Callable[[Message], Iterator[tuple[str, str]]]:
    split = [(path, path.split(".")) for path in paths]

    def named(request: Message) -> Iterator[tuple[str, str]]:
        for path, parts in split:
            for value in _values(request, parts):
                yield path, value

    return named


def _values(value: Any, parts: list[str]) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Message):
        yield from _values(getattr(value, parts[0]), parts[1:])
    else:
        for one in value:
            yield from _values(one, parts)
