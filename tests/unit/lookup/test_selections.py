"""One selection for all questions of a moment, and what it left out, as told by several stores."""

from google.protobuf.timestamp_pb2 import Timestamp
from hutong.records.v1.record_read_service_pb2 import LeftOutRecords, RecordSelection

from services.lookup.domain.selections import common_left_out, common_selection


def test_each_question_gets_at_least_what_it_asked_for() -> None:
    """The farthest reach, the greatest counts, all regions."""
    one = RecordSelection(since=Timestamp(seconds=5, nanos=1), newest=2, clearing=9, own_regions=["2"])
    other = RecordSelection(since=Timestamp(seconds=5), newest=3, clearing=4, own_regions=["1", "2"])
    both = RecordSelection(since=Timestamp(seconds=5), newest=3, clearing=9, own_regions=["1", "2", "3"])
    assert both == common_selection([one, other], {"3"})


def test_one_that_asks_for_everything_gets_it() -> None:
    """Together with others that ask for less."""
    assert common_selection([RecordSelection(newest=1), None], ()) is None
    assert common_selection([], ()) is None


def test_what_any_store_left_out_may_be_missing() -> None:
    """Of each region, up to the latest instant that any names."""
    early, late = Timestamp(seconds=1), Timestamp(seconds=1, nanos=1)
    assert [LeftOutRecords(before=late), LeftOutRecords(region="1", before=early)] == common_left_out(
        [
            [LeftOutRecords(before=early), LeftOutRecords(region="1", before=early)],
            [LeftOutRecords(before=late)],
        ]
    )
