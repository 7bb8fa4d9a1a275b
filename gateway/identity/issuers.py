"""The issuers of tokens that a gateway trusts, as a file lists them:

issuers:
  "https://id.example.cn":
    audience: hutong-gateway
    keys: https://id.example.cn/jwks.json
    roles: [holder, guardian]
  "https://venues.hunan.example.cn":
    audience: hutong-gateway
    keys: venues.jwks.json
    roles: [venue]
    regions: ["430000"]
"""

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec

from services.common.regions import divisions

Role = Literal["holder", "guardian", "venue", "laboratory", "supervisor", "operator"]
Algorithm = Literal["ES256", "EdDSA", "PS256", "RS256"]

MOST_SKEW = 300
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Issuer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One issuer. `keys` is the URL of its JWKS, https except on loopback, or the path of a file of one, relative to
    the list. `roles` are those that it may give, `regions` those that it may name in them (none: any); `skew` is by how
    many seconds its clock and this machine's may differ."""

    audience: Annotated[str, msgspec.Meta(min_length=1)]
    keys: Annotated[str, msgspec.Meta(min_length=1)]
    roles: Annotated[tuple[Role, ...], msgspec.Meta(min_length=1)]
    algorithms: Annotated[tuple[Algorithm, ...], msgspec.Meta(min_length=1)] = ("ES256", "EdDSA")
    regions: tuple[str, ...] = ()
    skew: Annotated[float, msgspec.Meta(ge=0, le=MOST_SKEW)] = 30.0


class IssuerList(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file."""

    issuers: Annotated[dict[str, Issuer], msgspec.Meta(min_length=1)]


def read_issuers(path: Path) -> dict[str, Issuer]:
    """Returns the issuers of a file by the `iss` of their tokens. Raises ValueError saying what is wrong with it."""
    try:
        issuers = msgspec.yaml.decode(path.read_bytes(), type=IssuerList).issuers
    except (OSError, msgspec.DecodeError) as error:
        raise ValueError(f"{path}: {' '.join(str(error).split())}") from None
    read = {}
    for name, issuer in issuers.items():
        unknown = sorted(set(issuer.regions) - divisions().keys())
        if unknown:
            raise ValueError(f"{path}: {name}: {', '.join(unknown)}: not a province-level code")
        read[name] = msgspec.structs.replace(issuer, keys=_keys(path, name, issuer.keys))
    return read


def _keys(path: Path, name: str, keys: str) -> str:
    if "://" not in keys:
        file = path.parent / keys
        if not file.is_file():
            raise ValueError(f"{path}: {name}: there is no file {file}")
        return str(file)
    url = urlsplit(keys)
    if url.scheme != "https" and not (url.scheme == "http" and url.hostname in _LOOPBACK):
        raise ValueError(f"{path}: {name}: keys come over https, from loopback also over http")
    return keys
