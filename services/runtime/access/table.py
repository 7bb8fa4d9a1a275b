"""The table of who may call what, read from YAML and compiled.

The table is data (`table.yaml` beside this module, or a file of the operator's own): principals, methods, purposes and
regions. Whatever it does not allow is denied.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import msgspec
import yaml
from hutong.common.v1.subject_pb2 import Purpose

from services.runtime.tls.identity import SCHEME, TRUST_DOMAIN, laboratory_ids, region_of

DEFAULT = Path(__file__).with_name("table.yaml")
_PREFIX = f"{SCHEME}{TRUST_DOMAIN}/"


class AccessError(Exception):
    """A table will not do; the message is one sentence that names the place."""


class MethodRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The rules of a method whoever calls: the purposes it may be called for, and the fields that name the regions it
    acts upon, the laboratories that it speaks for, and the regions of which it says that a record is a copy."""

    purposes: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    laboratories: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()


class Grant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Methods that a principal may call, for these purposes (none given: all of the method's), about its own region or
    any, about people of its own (itself and its dependants) or any, and as the laboratory that it is itself, which
    reports no other region's tests, or any."""

    methods: tuple[str, ...]
    regions: Literal["own", "any"]
    purposes: tuple[str, ...] = ()
    persons: Literal["own", "any"] = "any"
    laboratories: Literal["own", "any"] = "any"


class TableFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file."""

    methods: dict[str, dict[str, MethodRule]]
    principals: dict[str, tuple[Grant, ...]]


@dataclass(frozen=True, slots=True)
class Denial:
    """The denial of a call. `reason` is ACCESS_DENIED, PURPOSE_DENIED, REGION_DENIED, LABORATORY_DENIED,
    ORIGIN_DENIED or PERSON_DENIED."""

    reason: str
    field: str = ""


@dataclass(frozen=True, slots=True)
class _Permission:
    purposes: frozenset[int]
    own: bool
    own_persons: bool
    own_laboratory: bool


def _nobody_else() -> bool:
    return False


def _none_named() -> Iterable[tuple[str, str]]:
    return ()


class AccessTable:
    """Answers whether a principal may call a method."""

    def __init__(self, file: TableFile) -> None:
        """Compiles the file. Raises AccessError for an unknown purpose and for a grant that names no method."""
        self.rules: Mapping[str, MethodRule] = {
            f"{service}/{method}": rule for service, methods in file.methods.items() for method, rule in methods.items()
        }
        self.principals = tuple(file.principals)
        self.purposes: Mapping[str, frozenset[int]] = {
            method: frozenset(map(_purpose, rule.purposes)) for method, rule in self.rules.items()
        }
        self._granted = [
            (re.compile(re.escape(_PREFIX) + re.escape(name).replace(r"\*", "[^/]+")), self._permissions(name, grants))
            for name, grants in file.principals.items()
        ]
        self._permissions_of = lru_cache(4096)(self._look_up)

    def _permissions(self, name: str, grants: Iterable[Grant]) -> Mapping[str, Sequence[_Permission]]:
        permissions: dict[str, list[_Permission]] = {}
        for grant in grants:
            narrowed = frozenset(map(_purpose, grant.purposes))
            for pattern in grant.methods:
                methods = [method for method in self.rules if _covers(pattern, method)]
                if not methods:
                    raise AccessError(f"principals.{name}: {pattern} is no method of any contract")
                for method in methods:
                    purposes = self.purposes[method]
                    allowed = purposes & narrowed if narrowed else purposes
                    if purposes and not allowed:
                        continue
                    permissions.setdefault(method, []).append(
                        _Permission(
                            allowed, grant.regions == "own", grant.persons == "own", grant.laboratories == "own"
                        )
                    )
        return permissions

    def _look_up(self, principal: str) -> Mapping[str, Sequence[_Permission]]:
        return next((permissions for name, permissions in self._granted if name.fullmatch(principal)), {})

    def check(
        self,
        principal: str,
        method: str,
        purpose: int,
        regions: Iterable[tuple[str, str]],
        about_others: Callable[[], bool] = _nobody_else,
        laboratories: Callable[[], Iterable[tuple[str, str]]] = _none_named,
        origins: Callable[[], Iterable[tuple[str, str]]] = _none_named,
    ) -> Denial | None:
        """Returns why a call is denied, None when it is allowed. `regions` are the field and code of each region that
        the request acts upon; `about_others` tells whether it names people who are not the caller's own, and
        `laboratories` yields the field and id of each laboratory that it speaks for, `origins` the field and code of
        each region of which it brings a copy: these are asked only where that matters."""
        permissions = self._permissions_of(principal).get(method, ())
        if not permissions:
            return Denial("ACCESS_DENIED")
        denial = _PURPOSE_DENIED
        for one in permissions:
            if one.purposes and purpose not in one.purposes:
                continue
            if one.own and (foreign := _foreign(region_of(principal), regions := list(regions))) is not None:
                denial = Denial("REGION_DENIED", foreign)
            elif one.own_laboratory and (other := _other_laboratory(principal, laboratories())) is not None:
                denial = Denial("LABORATORY_DENIED", other)
            elif one.own_laboratory and (copied := _other_origin(principal, origins())) is not None:
                denial = Denial("ORIGIN_DENIED", copied)
            elif one.own_persons and about_others():
                denial = _PERSON_DENIED
            else:
                return None
        return denial

    def explain(self, principal: str) -> Iterator[str]:
        """Yields a line for each method that a principal may call: its purposes and regions."""
        for method, permissions in sorted(self._permissions_of(principal).items()):
            for one in permissions:
                purposes = sorted(Purpose.Name(number).removeprefix("PURPOSE_") for number in one.purposes)  # type: ignore[arg-type]  # from the enum
                about = "own" if one.own else "any"
                yield f"{method}  {','.join(purposes) or '-'}  {about}{_further(one)}"


_PURPOSE_DENIED = Denial("PURPOSE_DENIED", "purpose")
_PERSON_DENIED = Denial("PERSON_DENIED")


def _foreign(own: str, regions: Iterable[tuple[str, str]]) -> str | None:
    return next((field for field, region in regions if region != own), None)


def _other_origin(principal: str, origins: Iterable[tuple[str, str]]) -> str | None:
    own = region_of(principal)
    return next((field for field, region in origins if region and region != own), None)


def _other_laboratory(principal: str, laboratories: Iterable[tuple[str, str]]) -> str | None:
    own = laboratory_ids(principal)
    # What names none says nothing as another: a retraction, or a request that is refused for it.
    return next((field for field, laboratory in laboratories if laboratory and laboratory not in own), None)


def _further(permission: _Permission) -> str:
    people = "  own people" if permission.own_persons else ""
    return people + ("  own laboratory" if permission.own_laboratory else "")


def _covers(pattern: str, method: str) -> bool:
    return method.startswith(pattern[:-1]) if pattern.endswith("/*") else method == pattern


def _purpose(name: str) -> int:
    try:
        return Purpose.Value(f"PURPOSE_{name}")
    except ValueError:
        raise AccessError(f"{name} is no purpose") from None


def read_table(path: Path = DEFAULT) -> AccessTable:
    """Returns the table of a file. Raises AccessError."""
    try:
        return AccessTable(msgspec.convert(yaml.safe_load(path.read_bytes()), TableFile))
    except (OSError, yaml.YAMLError, msgspec.ValidationError) as error:
        raise AccessError(f"{path}: {error}") from None
    except AccessError as error:
        raise AccessError(f"{path}: {error}") from None


@lru_cache(1)
def default_table() -> AccessTable:
    """Returns the table that comes with the software, read once."""
    return read_table()
