"""The directory of regions: all divisions, and which of them are on the mesh."""

from collections.abc import Iterable

from hutong.common.v1.text_pb2 import LocalizedText
from hutong.lookup.v1.region_pb2 import InteropMode, Region

from services.common.mesh_directory import Member, MeshDirectory
from services.common.regions import NATION, Division, divisions


class Directory:
    """Every division of the country, with those on the mesh marked."""

    def __init__(self, sources: Iterable[str], members: MeshDirectory | None = None) -> None:
        """`sources` names the stores that can be asked: region codes and "nation"; `members` tells where they are.
        Raises ValueError for other names."""
        named = frozenset(sources)
        unknown = sorted(named - divisions().keys() - {NATION})
        if unknown:
            raise ValueError(f"not a region on the mesh, nor {NATION!r}: {', '.join(unknown)}")
        self.on_mesh: tuple[str, ...] = tuple(sorted(named - {NATION}))
        """The codes of the regions whose records are served on the mesh, ascending."""
        members = members or MeshDirectory()
        self.version = members.version
        """Names what the list of members says."""
        self.nation_address = "" if members.nation is None else members.nation.records
        self._regions = {
            code: _region(division, code in named, members.regions.get(code)) for code, division in divisions().items()
        }

    def get(self, code: str) -> Region | None:
        """Returns one region, or None when no division has this code. Not to be changed."""
        return self._regions.get(code)

    def after(self, code: str, most: int) -> list[Region]:
        """Returns up to `most` regions whose codes are greater than this one, ascending."""
        return [region for other, region in self._regions.items() if other > code][:most]


def _region(division: Division, on_mesh: bool, member: Member | None) -> Region:
    mode = division.interop_mode if member is None else member.interop_mode or division.interop_mode
    return Region(
        region=division.code,
        display_name=LocalizedText(zh=division.name.zh, en=division.name.en),
        health_code=division.health_code,
        bloc=division.bloc,
        interop_mode=InteropMode.Value(f"INTEROP_MODE_{mode}"),
        on_mesh=on_mesh,
        scope_switch=division.scope_switch,
        records_address="" if member is None else member.records,
    )
