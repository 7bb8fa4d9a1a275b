"""One selection for all questions of a moment, and what it left out, as told by several stores."""

from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from hutong.records.v1.record_pb2 import RevisionAction, TestRecord
from hutong.records.v1.record_read_service_pb2 import LeftOutRecords, RecordSelection

from services.common.regions import NATION
from services.lookup.domain.selections import GivenBySource, common_left_out, common_selection


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


def _records(region: str, count: int, start: int = 0, **more: Any) -> list[TestRecord]:
    return [TestRecord(region=region, source_id=f"S{number}", **more) for number in range(start, start + count)]


def test_what_a_store_counted_no_further_may_be_more() -> None:
    """Also where another one counted to the end, and knows as many."""
    early = Timestamp(seconds=1)
    home = GivenBySource("1", _records("1", 3), [LeftOutRecords(before=early, count=300, at_least=True)])
    nation = GivenBySource(NATION, _records("1", 4), [LeftOutRecords(before=early, count=302)])
    assert [LeftOutRecords(before=early, count=302, at_least=True)] == common_left_out(
        [[home, nation]], _records("1", 4)
    )
    assert [LeftOutRecords(before=early, count=302)] == common_left_out(
        [[GivenBySource("1", _records("1", 3), []), nation]], _records("1", 4)
    )


def test_what_any_store_left_out_may_be_missing() -> None:
    """Of each region, up to the latest instant that any names; counted by whoever knows most, less what is there."""
    early, late = Timestamp(seconds=1), Timestamp(seconds=1, nanos=1)
    home, nation = _records("1", 3, start=4), [*_records("1", 5), *_records("2", 1)]
    sources = [
        GivenBySource(
            "1", home, [LeftOutRecords(before=early, count=7), LeftOutRecords(region="1", before=early, count=7)]
        ),
        GivenBySource(NATION, nation, [LeftOutRecords(before=late, count=20)]),
    ]
    # The nation knows 26 in all, and the region 10 of its own.
    merged = [*_records("1", 7), *_records("2", 1)]
    assert [
        LeftOutRecords(before=late, count=26 - 8),
        LeftOutRecords(region="1", before=early, count=10 - 7),
    ] == common_left_out([sources], merged)


def test_without_the_nation_each_region_knows_its_own() -> None:
    """Under each of a person's keys; what was retracted is not counted."""
    before = Timestamp(seconds=1)
    gone = _records("1", 1, start=9, action=RevisionAction.REVISION_ACTION_RETRACTED)
    first = [
        GivenBySource("1", [*_records("1", 2), *gone], [LeftOutRecords(before=before, count=5)]),
        GivenBySource("2", _records("2", 1), []),
    ]
    second = [GivenBySource("1", _records("1", 1, start=5), [LeftOutRecords(before=before, count=2)])]
    merged = [*_records("1", 2), *gone, *_records("2", 1), *_records("1", 1, start=5)]
    assert [LeftOutRecords(before=before, count=7)] == common_left_out([first, second], merged)


def test_what_one_source_alone_gave_keeps_its_count() -> None:
    """By region; whoever answered that it has nothing of the person changes nothing of it."""
    before = Timestamp(seconds=1)
    left_out = [LeftOutRecords(region="1", before=before, count=3), LeftOutRecords(before=before, count=197)]
    nation = GivenBySource(NATION, [*_records("1", 2), *_records("2", 1)], left_out)
    merged = [*nation.records]
    assert [*reversed(left_out)] == common_left_out([[GivenBySource("1", [], []), nation]], merged)
    assert [*reversed(left_out)] == common_left_out([[nation], [GivenBySource(NATION, [], [])]], merged)
