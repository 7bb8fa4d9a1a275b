"""The one list of who is on the mesh."""

import pytest

from services.common.mesh_directory import MOST_BYTES, Member, MeshDirectory, parse_directory

TEXT = b"""
nation: {records: "records-nation:7000"}
regions:
  "110000": {records: "records-110000:7000"}
  "310000": {records: "dns:///records-310000:7000", interop_mode: CONVERT, feed: 5f0c}
"""


def test_a_list_is_read():
    """Addresses, modes, feeds."""
    directory = parse_directory(TEXT)
    assert (
        MeshDirectory(
            Member("records-nation:7000"),
            {
                "110000": Member("records-110000:7000"),
                "310000": Member("dns:///records-310000:7000", "CONVERT", "5f0c"),
            },
        )
        == directory
    )
    assert ["nation", "110000", "310000"] == list(directory.members)


def test_a_version_says_what_the_list_says():
    """However it is written; any other address, mode or feed is another."""
    directory = parse_directory(TEXT)
    turned = MeshDirectory(directory.nation, dict(reversed(directory.regions.items())))
    assert directory.version == turned.version
    others = [
        TEXT.replace(b"110000:7000", b"110000:7001"),
        TEXT.replace(b"CONVERT", b"SHARE"),
        TEXT.replace(b"5f0c", b"5f0d"),
        TEXT.replace(b"nation:7000", b"nation:7001"),
        b"{}",
    ]
    assert len(others) + 1 == len({directory.version, *(parse_directory(other).version for other in others)})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"regions: {110000: {records: a:1}}", "regions"),
        (b"regions: {'110001': {records: a:1}}", "110001"),
        (b"regions: {'110000': {record: a:1}}", "record"),
        (b"regions: {'110000': {records: a:1, interop_mode: COPY}}", "COPY"),
        (b"regions: {'110000': {records: a:1}, '310000': {records: a:1}}", "a:1: the address of more than one store"),
        (b"nation: {records: a:1}\nregions: {'110000': {records: a:1}}", "a:1: the address of more than one store"),
        (b"regions: [", "expected"),
        (b"- 1", "array"),
        (b" " * (MOST_BYTES + 1), "bytes"),
    ],
)
def test_what_is_wrong_is_said(text, said):
    """Before anything is started."""
    with pytest.raises(ValueError, match=said):
        parse_directory(text)
