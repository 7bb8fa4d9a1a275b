"""Names of callers: SPIFFE ids (SPIFFE-ID 1.0), as certificates carry them.

`spiffe://hutong/mesh/gateway` is a service of the mesh, `spiffe://hutong/nation/records` the nation's store,
`spiffe://hutong/region/430000/records` a region's, `spiffe://hutong/region/430000/system` a region's own system.
"""

import re
from typing import NewType

from services.common.regions import NATION

TRUST_DOMAIN = "hutong"
SCHEME = "spiffe://"

PRINCIPALS = f"{SCHEME}{TRUST_DOMAIN}/"
"""What all names of the mesh begin with."""

Principal = NewType("Principal", str)
"""A proven name: a SPIFFE id of the trust domain."""

ANONYMOUS = Principal(f"{PRINCIPALS}anonymous")
"""The name of whoever calls a gateway without a token or a certificate."""

UNPROVEN = Principal(f"{PRINCIPALS}development/unproven")
"""The name under which is kept what somebody wrote whose name nothing proves."""

_PATH = re.compile(r"(/[A-Za-z0-9._-]+)+")
_REGION = re.compile(rf"{SCHEME}{TRUST_DOMAIN}/region/([0-9]{{6}})/.+")
_LABORATORY = re.compile(rf"{SCHEME}{TRUST_DOMAIN}/region/([0-9]{{6}})/laboratory/([^/]+)")
_LONGEST = 2048


class WrongPrincipalError(ValueError):
    """A name is no SPIFFE id of the mesh; the message is one sentence."""


def principal(path: str) -> Principal:
    """Returns the SPIFFE id of a path such as `region/430000/records`. Raises WrongPrincipalError."""
    return parse(f"{PRINCIPALS}{path}")


def parse(uri: str) -> Principal:
    """Returns the same name, checked. Raises WrongPrincipalError for another scheme or trust domain, for a path with
    empty or dotted segments, and for more than 2,048 characters (SPIFFE-ID 1.0, section 2)."""
    domain, slash, path = uri.removeprefix(SCHEME).partition("/")
    if not uri.startswith(SCHEME) or domain != TRUST_DOMAIN or len(uri) > _LONGEST:
        raise WrongPrincipalError(f"{uri[:100]!r} is no name of {PRINCIPALS}")
    if not _PATH.fullmatch(slash + path) or {".", ".."} & set(path.split("/")):
        raise WrongPrincipalError(f"{uri[:100]!r} has a path that no name may have")
    return Principal(uri)


def store_of(region: str) -> Principal:
    """Returns the name of a region's store, or of the nation's."""
    return principal("nation/records" if region == NATION else f"region/{region}/records")


def region_of(name: str) -> str:
    """Returns the region a principal speaks for, empty when it speaks for none."""
    match = _REGION.fullmatch(name)
    return match[1] if match else ""


def laboratory_ids(name: str) -> frozenset[str]:
    """Returns the ids under which the mesh may know the laboratory that a principal is, none where it is no laboratory.
    The last segment of its name is the id, whole or without the code of its region: `region/430000/laboratory/xiangya`
    is 430000-xiangya."""
    match = _LABORATORY.fullmatch(name)
    return frozenset((match[2], f"{match[1]}-{match[2]}")) if match else frozenset()


def dns_name(name: Principal) -> str:
    """Returns the DNS name that stands in a server's certificate beside its SPIFFE id: clients of gRPC check DNS names
    alone. `spiffe://hutong/region/430000/records` is `records.430000.region.hutong`."""
    path = name.removeprefix(PRINCIPALS)
    return ".".join(reversed([TRUST_DOMAIN, *path.lower().split("/")]))
