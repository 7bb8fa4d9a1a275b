"""The directory of regions."""

import pytest
from hutong.lookup.v1.region_pb2 import InteropMode

from services.common.mesh_directory import Member, MeshDirectory
from services.lookup.domain.directory import Directory


def test_all_divisions_are_in_it_and_those_on_the_mesh_are_marked() -> None:
    """34 divisions; who is on the mesh comes from the settings, everything else from the table."""
    directory = Directory(["nation", "430000", "110000"])
    regions = directory.after("", 100)
    assert len(regions) == 34
    assert [region.region for region in regions if region.on_mesh] == ["110000", "430000"]
    assert directory.on_mesh == ("110000", "430000")
    liaoning = directory.get("210000")
    assert liaoning is not None
    assert (liaoning.health_code, liaoning.scope_switch, liaoning.interop_mode) == (
        "辽事通",
        True,
        InteropMode.INTEROP_MODE_SHARE,
    )


def test_where_a_member_is_and_how_it_joins_is_told() -> None:
    """An address is told where there is one; the mode is that of 2022 unless the list says another."""
    members = MeshDirectory(Member("n:1"), {"430000": Member("h:7", "CONVERT"), "110000": Member("b:7")})
    directory = Directory(members.members, members)
    hunan, beijing, shanghai = (directory.get(code) for code in ("430000", "110000", "310000"))
    assert hunan is not None
    assert beijing is not None
    assert shanghai is not None
    assert (hunan.records_address, hunan.interop_mode) == ("h:7", InteropMode.INTEROP_MODE_CONVERT)
    assert (beijing.records_address, shanghai.records_address) == ("b:7", "")
    assert (directory.nation_address, directory.version) == ("n:1", members.version)


def test_a_source_that_is_no_region_is_refused() -> None:
    """A mistyped code in the settings must not become a store that is never asked."""
    with pytest.raises(ValueError, match="430001"):
        Directory(["430001", "nation"])
