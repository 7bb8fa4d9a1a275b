"""Files that list who is on the mesh."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from services.common.mesh_directory import Member, MeshDirectory
from services.common.regions import NATION


def directory_file(path: Path, addresses: Mapping[str, str]) -> str:
    """Writes the addresses of stores, by region code and "nation", as a directory file; returns its path."""
    regions = {name: Member(address) for name, address in addresses.items() if name != NATION}
    nation = Member(addresses[NATION]) if NATION in addresses else None
    path.write_bytes(msgspec.yaml.encode(MeshDirectory(nation, regions)))
    return str(path)
