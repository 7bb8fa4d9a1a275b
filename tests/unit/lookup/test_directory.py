"""The directory of regions."""

import pytest
from hutong.lookup.v1.region_pb2 import InteropMode

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


def test_a_source_that_is_no_region_is_refused() -> None:
    """A mistyped code in the settings must not become a store that is never asked."""
    with pytest.raises(ValueError, match="430001"):
        Directory(["430001", "nation"])
