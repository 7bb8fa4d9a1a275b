"""The one list of who is on the mesh: the nation's store of records and the regions', with their addresses and feeds.

It is a YAML file, the same for lookup, the nation's records and the gateway:

    nation: {records: records-nation:7000}
    regions:
      "110000": {records: records-110000:7000}
      "310000": {records: records-310000:7000, interop_mode: SHARE, feed: 5f0c…}
"""

from hashlib import sha256
from typing import Literal

import msgspec

from services.common.regions import NATION, divisions

MOST_BYTES = 64 * 1024


class Member(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One store of records on the mesh."""

    records: str
    """Its address: host:port or a gRPC name."""
    interop_mode: Literal["SHARE", "CONVERT", "ADOPT", ""] = ""
    """How the region joins, where it is not as in 2022: see InteropMode."""
    feed: str = ""
    """The feed that it must have; empty: whichever it has when it is first met."""

    @property
    def digest(self) -> str:
        """Names what the list says of it: 16 hexadecimal digits."""
        return sha256(msgspec.json.encode(self)).hexdigest()[:16]


class MeshDirectory(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everybody on the mesh. A region that is not in it has its records kept by the nation."""

    nation: Member | None = None
    regions: dict[str, Member] = {}

    @property
    def members(self) -> dict[str, Member]:
        """The stores by region code, the nation's by "nation"."""
        return self.regions if self.nation is None else {NATION: self.nation, **self.regions}

    @property
    def version(self) -> str:
        """Names what the list says, however it is written: 16 hexadecimal digits."""
        said = msgspec.json.encode((self.nation, sorted(self.regions.items())))
        return sha256(said).hexdigest()[:16]


def parse_directory(text: bytes) -> MeshDirectory:
    """Returns the list of a YAML file. Raises ValueError saying what is wrong with it."""
    if len(text) > MOST_BYTES:
        raise ValueError(f"more than {MOST_BYTES} bytes")
    try:
        directory = msgspec.yaml.decode(text, type=MeshDirectory)
    except msgspec.DecodeError as error:
        # A parser of YAML says where on lines of its own.
        raise ValueError(" ".join(str(error).split())) from None
    unknown = sorted(directory.regions.keys() - divisions().keys())
    if unknown:
        raise ValueError(f"regions: {', '.join(unknown)}: not a province-level code; codes stand in quotes")
    addresses = [member.records for member in directory.members.values()]
    twice = sorted({address for address in addresses if addresses.count(address) > 1})
    if twice:
        raise ValueError(f"{', '.join(twice)}: the address of more than one store")
    return directory
