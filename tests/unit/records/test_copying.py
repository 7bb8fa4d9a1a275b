"""A follower takes another store's changes, and leaves what contradicts its own."""

from hutong.records.v1 import record_pb2
from hutong.records.v1.change_feed_service_pb2 import Change
from hutong.records.v1.laboratory_pb2 import Laboratory

from services.common.instants import Instant, to_timestamp
from services.records.domain.holders import Moved
from services.records.domain.replication import Cursor, advanced, continues, restated, take
from services.records.domain.revisions import PersonRecord, RecordId, copy_of


def change(sequence: int, source_id: str = "S1", revision: int = 1, **fields: object) -> Change:
    """A change by which a revision was appended."""
    record = record_pb2.TestRecord(
        region="430000",
        source_id=source_id,
        revision=revision,
        person_key=b"a" * 16,
        content=record_pb2.RecordContent(laboratory=f"430000-{revision}"),
        recorded_at=to_timestamp(Instant(sequence)),
    )
    for name, value in fields.items():
        setattr(record, name, value)
    return Change(sequence=sequence, record=record)


def standing(sequence: int, revision: int, region: str = "430000") -> Change:
    """A change of a laboratory's standing."""
    laboratory = Laboratory(
        region=region, laboratory="430000-x", revision=revision, recorded_at=to_timestamp(Instant(sequence))
    )
    return Change(sequence=sequence, laboratory=laboratory)


def test_news_is_taken_exactly_as_it_is() -> None:
    """A copied revision keeps its bytes and the instant of the original's commit."""
    news = change(7)
    copies = take("430000", [news], {}, {})
    assert [(new.body, new.recorded_at) for new in copies.revisions] == [(news.record.SerializeToString(), 7)]


def test_what_was_taken_before_is_skipped() -> None:
    """The same changes again, in one batch or the next, are taken once."""
    changes = [change(1), change(2, revision=2), change(1), standing(3, 1), standing(3, 1)]
    first = take("430000", changes, {}, {})
    assert [new.revision for new in first.revisions] == [1, 2]
    assert len(first.laboratories) == 1
    histories = {RecordId("430000", "S1"): [new.as_stored() for new in first.revisions]}
    laboratories = {"430000-x": first.laboratories[0].laboratory}
    again = take("430000", [*changes, change(4, revision=3), standing(5, 2)], histories, laboratories)
    assert [new.revision for new in again.revisions] == [3]
    assert [new.laboratory.revision for new in again.laboratories] == [2]
    assert again.refused == {}


def test_contradictions_are_counted_and_not_taken() -> None:
    """Nothing that is stored is overwritten, and no region speaks for another."""
    changes = [
        change(4, source_id="S2", region="440000"),
        standing(6, 1, region="440000"),
    ]
    copies = take("430000", changes, {}, {})
    assert (copies.revisions, copies.laboratories) == ([], [])
    assert copies.refused == {"OTHER_REGION": 2}
    assert [(c.id.source_id, c.revision, c.reason, c.person_key[:1], c.offered_by) for c in copies.conflicts] == [
        ("S2", 0, "OTHER_REGION", b"a", "feed of 430000"),
    ]


def test_an_id_is_whose_its_region_says() -> None:
    """Another person under a stored id takes it over as told; what was stored there stays, for nobody retracted it. The
    same again changes nothing."""
    s1 = RecordId("430000", "S1")
    stored = {s1: [copy_of(change(1).record).as_stored()]}
    theirs = change(9, person_key=b"b" * 16)
    copies = take("430000", [theirs, theirs], stored, {})
    [taken] = copies.revisions
    assert (taken.body, taken.recorded_at) == (theirs.record.SerializeToString(), 9)
    assert (copies.moved, copies.conflicts) == ([Moved(s1, b"a" * 16, b"b" * 16)], [])
    former = {PersonRecord(b"a" * 16, s1): stored[s1]}
    assert take("430000", [change(1), theirs], {s1: [taken.as_stored()]}, {}, former).revisions == []


def test_an_id_goes_back() -> None:
    """Told of the first person again, by what is new, the first has it again; the other's test stays meanwhile."""
    s1 = RecordId("430000", "S1")
    theirs = change(9, person_key=b"b" * 16)
    first = take("430000", [change(1), theirs], {}, {})
    histories = {s1: [new.as_stored() for new in first.revisions if new.person_key[:1] == b"b"]}
    former = {PersonRecord(b"a" * 16, s1): [new.as_stored() for new in first.revisions if new.person_key[:1] == b"a"]}
    again = take("430000", [change(20, revision=2)], histories, {}, former)
    assert [(new.person_key[:1], new.revision, new.retracted) for new in again.revisions] == [(b"a", 2, False)]
    assert [moved.holder[:1] for moved in again.moved] == [b"a"]


def test_what_a_restored_region_says_follows_what_it_lost() -> None:
    """A revision whose number is taken by one that the region lost comes after it, and is known again."""
    lost = change(2, revision=2, action=record_pb2.REVISION_ACTION_AMENDED)
    stored = {RecordId("430000", "S1"): [copy_of(change(1).record).as_stored(), copy_of(lost.record).as_stored()]}
    other = change(9, revision=2, action=record_pb2.REVISION_ACTION_AMENDED)
    other.record.content.laboratory = "430000-other"
    copies = take("430000", [change(1), other, other], stored, {})
    [new] = copies.revisions
    message = new.as_stored().message()
    assert (new.revision, new.recorded_at, message.content) == (3, 9, other.record.content)
    assert (copies.restated, copies.refused) == (1, {})
    stored[RecordId("430000", "S1")].append(new.as_stored())
    assert take("430000", [change(1), other], stored, {}).revisions == []


def test_what_is_milder_waits_for_the_comparison_when_a_feed_is_read_again() -> None:
    """The region may have lost what is graver here; what is as grave, or graver, is taken at once."""
    positive = change(2, revision=2, action=record_pb2.REVISION_ACTION_AMENDED)
    positive.record.content.result = record_pb2.TEST_RESULT_POSITIVE
    first = change(1)
    first.record.content.result = record_pb2.TEST_RESULT_NEGATIVE
    s1 = RecordId("430000", "S1")
    stored = {s1: [copy_of(first.record).as_stored(), copy_of(positive.record).as_stored()]}
    milder, graver = (change(n, revision=2, action=record_pb2.REVISION_ACTION_AMENDED) for n in (8, 9))
    milder.record.content.result = record_pb2.TEST_RESULT_INCONCLUSIVE
    graver.record.content.result = record_pb2.TEST_RESULT_POSITIVE
    graver.record.content.laboratory = "430000-other"
    assert take("430000", [milder], stored, {}, rereading=True).revisions == []
    [taken] = take("430000", [milder, graver], stored, {}, rereading=True).revisions
    assert (taken.revision, taken.recorded_at) == (3, 9)
    assert [new.revision for new in take("430000", [milder], stored, {}).revisions] == [3]


def test_a_lost_amendment_made_again_is_news() -> None:
    """The same content under the same number, recorded later, is another revision than the one that was lost."""
    lost = change(2, revision=2, action=record_pb2.REVISION_ACTION_AMENDED)
    again = change(9, revision=2, action=record_pb2.REVISION_ACTION_AMENDED)
    back = restated(change(1).record, 3)
    stored = {
        RecordId("430000", "S1"): [
            *(copy_of(c.record).as_stored() for c in (change(1), lost)),
            back.as_stored(),
        ]
    }
    assert [new.revision for new in take("430000", [again], stored, {}).revisions] == [4]


def test_a_restored_standing_goes_on_from_what_was_lost() -> None:
    """A laboratory's later revision with a number that is taken gets the next; an older one is old news."""
    laboratories = {"430000-x": standing(5, 4).laboratory}
    assert take("430000", [standing(3, 2)], {}, laboratories).laboratories == []
    [new] = take("430000", [standing(9, 2)], {}, laboratories).laboratories
    assert new.laboratory.revision == 5


def test_a_namesake_is_kept_apart() -> None:
    """A laboratory whose id another region registered first has revisions of its own."""
    laboratories = {"430000-x": Laboratory(region="440000", laboratory="430000-x", revision=7)}
    [new] = take("430000", [standing(5, 1), standing(5, 1)], {}, laboratories).laboratories
    assert (new.name, new.laboratory) == ("430000-x/430000", standing(5, 1).laboratory)
    laboratories[new.name] = new.laboratory
    assert take("430000", [standing(5, 1)], {}, laboratories).laboratories == []
    assert [new.laboratory.revision for new in take("430000", [standing(9, 2)], {}, laboratories).laboratories] == [2]


def test_a_batch_continues_where_it_leaves_no_gap() -> None:
    """A batch counts only on what is stored of the same feed, or from the start."""
    stored = Cursor("f", 5)
    assert continues(stored, Cursor("f", 5), "f")
    assert continues(stored, Cursor("f", 3), "f")
    assert not continues(stored, Cursor("f", 6), "f")
    assert not continues(stored, Cursor("g", 5), "g")
    assert continues(Cursor(), Cursor(), "f")
    assert not continues(Cursor(), Cursor("f", 5), "f")


def test_a_cursor_never_goes_back_within_a_feed() -> None:
    """A batch that another replica has stored already moves nothing."""
    assert advanced(Cursor("f", 5, Instant(50)), "f", 3, Instant(30)) == Cursor("f", 5, Instant(50))
    assert advanced(Cursor("f", 5, Instant(50)), "f", 7, Instant(70)) == Cursor("f", 7, Instant(70))
    assert advanced(Cursor(), "g", 3, Instant(30)) == Cursor("g", 3, Instant(30))
