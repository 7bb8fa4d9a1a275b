"""The answers of several sources about one person are joined."""

from hutong.records.v1.laboratory_pb2 import Laboratory, Suspension
from hutong.records.v1.record_pb2 import TestRecord as Record
from hypothesis import given
from hypothesis import strategies as st

from services.lookup.domain.merge import merge_laboratories, merge_records

RECORDS = st.builds(
    Record,
    region=st.sampled_from(["110000", "430000"]),
    source_id=st.sampled_from("abc"),
    revision=st.integers(1, 3),
)


@given(st.lists(st.lists(RECORDS, min_size=1, max_size=5), min_size=1, max_size=4))
def test_each_record_once_in_its_newest_revision(found: list[list[Record]]) -> None:
    """However many sources hold a record, in whatever revisions: one message, the newest, in a fixed order."""
    merged = merge_records(found)
    newest: dict[tuple[str, str], int] = {}
    for record in (record for records in found for record in records):
        identity = (record.region, record.source_id)
        newest[identity] = max(newest.get(identity, 0), record.revision)
    assert [((r.region, r.source_id), r.revision) for r in merged] == sorted(newest.items())


def test_laboratories_by_highest_revision() -> None:
    """A standing that one source has not heard of yet does not hide the newer one."""
    old, new = Laboratory(laboratory="lab", revision=1), Laboratory(laboratory="lab", revision=2)
    assert merge_laboratories([[old], [new]]) == {"lab": new}
    assert merge_laboratories([[new], [old]]) == {"lab": new}


def test_a_namesake_cannot_outvote_a_suspension():
    """Whoever registers another region's laboratory id, however often, what one of them suspended stays suspended."""
    suspended = Laboratory(region="430000", laboratory="lab", revision=2, suspensions=[Suspension(suspension_id="one")])
    namesake = Laboratory(region="110000", laboratory="lab", revision=9)
    for found in ([[suspended], [namesake]], [[namesake], [suspended]]):
        assert [one.suspension_id for one in merge_laboratories(found)["lab"].suspensions] == ["one"]
