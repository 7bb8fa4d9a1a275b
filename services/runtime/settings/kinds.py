"""The kinds of settings there are: each says its unit, and what is wrong with a value before anything is started.

A field is annotated with a kind: `drain_wait: Seconds = 0.0`. An empty value is not looked at where it is the default:
there, it stands for none.
"""

import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from services.common.mesh_directory import parse_directory
from services.common.mesh_secret import LEAST_SECRET, MOST_VERSION, MeshSecretError, parse_mesh_secret
from services.runtime.limits.rules import rules_wrong
from services.runtime.rpc.addresses import networks_wrong

MOST_HOSTS = 8
"""Hosts in the URL of a PostgreSQL database: a primary and those that may take its place."""

_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
_HOST_PORT = re.compile(r"(\[[0-9A-Fa-f:.%]+\]|[^:/\s\[\]]*):(\d{1,5})")
_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:\d{1,5})?")
_HOST = re.compile(r"(\*\.)?[a-z0-9-]+(\.[a-z0-9-]+)*(:\d{1,5})?")
_CONTACT = re.compile(r"mailto:[^@\s]+@[a-z0-9.-]+|https://[a-z0-9-]+(\.[a-z0-9-]+)+")
_GRPC_NAME = re.compile(r"(dns|ipv4|ipv6|unix|unix-abstract|xds):\S+")


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of setting. `wrong` returns the reason why a value will not do, empty when it will; never the value of a
    secret or a URL, which may hold one."""

    unit: str
    wrong: Callable[[Any], str]


def _number(least: float, most: float = math.inf, *, more: bool = False) -> Callable[[float], str]:
    words = f"more than {least:g}" if more else f"at least {least:g}"
    words += "" if most == math.inf else f" and at most {most:g}"

    def wrong(value: float) -> str:
        fits = math.isfinite(value) and (least < value if more else least <= value) and value <= most
        return "" if fits else f"expected {words}, not {value:g}"

    return wrong


def _listen(address: str) -> str:
    found = _HOST_PORT.fullmatch(address)
    if found is None:
        return f"expected host:port, such as 127.0.0.1:7001, not {address!r}"
    return "" if int(found[2]) <= 65_535 else f"there is no port {found[2]}"


def _target(address: str) -> str:
    if _GRPC_NAME.fullmatch(address):
        return ""
    wrong = _listen(address)
    if wrong:
        return wrong
    return f"expected a host before and a port after the colon, not {address!r}" if address[0] == ":" else ""


def _targets(addresses: Mapping[str, str]) -> str:
    return next((f"{name}: {wrong}" for name, address in addresses.items() if (wrong := _target(address))), "")


def _url(*schemes: str, most_hosts: int = 1) -> Callable[[str], str]:
    def wrong(url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in schemes or "://" not in url or not (parts.netloc or parts.path.strip("/")):
            return f"begins with {' or '.join(f'{scheme}://' for scheme in schemes)}, and an address follows"
        hosts = parts.netloc.rpartition("@")[2].split(",")
        if len(hosts) > most_hosts:
            return f"names more than {most_hosts} of host:port"
        try:
            _ = [urlsplit(f"//{host}").port for host in hosts]
        except ValueError:
            return "its port is not a number up to 65535"
        return ""

    return wrong


def _redis(url: str) -> str:
    scheme = urlsplit(url).scheme
    if "+" not in scheme:
        return _url("redis", "rediss", "unix")(url)
    wrong = _url("redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster", most_hosts=MOST_HOSTS)(url)
    if not wrong and scheme.endswith("+sentinel") and not urlsplit(url).path.strip("/"):
        return "behind the sentinels follows / and what they call the primary"
    return wrong


def _store(url: str) -> str:
    if not url.startswith("sqlite:///"):
        wrong = _url("postgresql", "postgres", most_hosts=MOST_HOSTS)(url)
        return "begins with sqlite:/// or postgresql://, and a path or an address follows" if wrong else ""
    path = Path(url.removeprefix("sqlite:///")).absolute()
    if not url.removeprefix("sqlite:///") or path.is_dir():
        return "sqlite:/// is followed by the path of a file"
    above = next(folder for folder in path.parents if folder.exists())
    if not above.is_dir():
        return f"{above} is not a directory"
    return "" if os.access(above, os.W_OK | os.X_OK) else f"{above} cannot be written to"


def _directory(path: str) -> str:
    if not Path(path).is_dir():
        return f"there is no directory {path}"
    return "" if os.access(path, os.R_OK | os.X_OK) else f"the directory {path} cannot be read"


def _file(path: str) -> str:
    if not Path(path).is_file():
        return f"there is no file {path}"
    return "" if os.access(path, os.R_OK) else f"the file {path} cannot be read"


def _members(path: str) -> str:
    wrong = _file(path)
    if wrong:
        return wrong
    try:
        members = parse_directory(Path(path).read_bytes()).members
    except (OSError, ValueError) as error:
        return f"{path}: {error}"
    return _targets({name: member.records for name, member in members.items()})


def _level(name: str) -> str:
    return "" if name in _LEVELS else f"expected {', '.join(_LEVELS[:-1])} or {_LEVELS[-1]}, not {name!r}"


def _secret(secret: str) -> str:
    try:
        parse_mesh_secret(secret)
    except MeshSecretError as error:
        return str(error)
    return ""


def _origins(origins: tuple[str, ...]) -> str:
    wrong = next((origin for origin in origins if not _ORIGIN.fullmatch(origin)), None)
    return "" if wrong is None else f"expected origins such as https://code.example.cn, not {wrong!r}"


def _hosts(hosts: tuple[str, ...]) -> str:
    wrong = next((host for host in hosts if not _HOST.fullmatch(host)), None)
    return "" if wrong is None else f"expected hosts such as push.example.cn or *.example.cn:8443, not {wrong!r}"


def _contact(contact: str) -> str:
    fits = _CONTACT.fullmatch(contact)
    return "" if fits else f"expected mailto:NAME@HOST or https://HOST, not {contact!r}"


def _any(value: object) -> str:
    return ""


Seconds = Annotated[float, Kind("seconds", _number(0))]
SomeSeconds = Annotated[float, Kind("seconds, more than 0", _number(0, more=True))]
Hours = Annotated[int, Kind("hours", _number(1))]
Count = Annotated[int, Kind("a whole number from 1", _number(1))]
Version = Annotated[int, Kind(f"a whole number up to {MOST_VERSION}", _number(0, MOST_VERSION))]
Pool = Annotated[int, Kind("a whole number from 2", _number(2))]
Rate = Annotated[float, Kind("a second", _number(0))]
Share = Annotated[float, Kind("0 to 1", _number(0, 1))]
Listen = Annotated[str, Kind("host:port", _listen)]
Target = Annotated[str, Kind("host:port or a gRPC name", _target)]
Regions = Annotated[tuple[str, ...], Kind("region codes, comma-separated", _any)]
Region = Annotated[str, Kind("a region's code or nation", _any)]
CollectorUrl = Annotated[str, Kind("http://… or https://…", _url("http", "https"))]
RedisUrl = Annotated[str, Kind("redis://…, rediss://…, unix://…, redis+sentinel://…/NAME or redis+cluster://…", _redis)]
StoreUrl = Annotated[str, Kind("sqlite:///path or postgresql://…", _store)]
ReplicaUrl = Annotated[str, Kind("postgresql://…", _url("postgresql", "postgres", most_hosts=MOST_HOSTS))]
Directory = Annotated[str, Kind("a directory", _directory)]
File = Annotated[str, Kind("a file", _file)]
Members = Annotated[str, Kind("a YAML file", _members)]
Origins = Annotated[tuple[str, ...], Kind("origins, comma-separated", _origins)]
Hosts = Annotated[tuple[str, ...], Kind("hosts such as *.example.cn, comma-separated", _hosts)]
Contact = Annotated[str, Kind("mailto:… or https://…", _contact)]
Level = Annotated[str, Kind(", ".join(_LEVELS), _level)]
Secret = Annotated[str, Kind(f"at least {LEAST_SECRET} bytes", _secret)]
Name = Annotated[str, Kind("a name", _any)]
Targets = Annotated[dict[str, str], Kind("NAME=host:port, comma-separated", _targets)]
Limits = Annotated[dict[str, str], Kind("NAME=RATE/BURST, comma-separated", rules_wrong)]
Networks = Annotated[tuple[str, ...], Kind("networks such as 10.0.0.0/8, comma-separated", networks_wrong)]
Flag = Annotated[bool, Kind("true or false", _any)]


def up_to(most: float) -> Kind:
    """Seconds, more than 0 and at most so many."""
    return Kind(f"seconds, more than 0, at most {most:g}", _number(0, most, more=True))
