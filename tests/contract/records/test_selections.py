"""A selection of people's records: what it gives of any past, and that indexes give the same as reading everything."""

import random
import re
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hutong.common.v1.subject_pb2 import Subject
from hutong.records.v1.record_pb2 import Origin, RecordContent, RevisionAction, TestRecord, TestResult, Tube
from hutong.records.v1.record_read_service_pb2 import (
    BatchListRecordsRequest,
    BatchListRecordsResponse,
    RecordSelection,
)

from services.common.instants import HOUR, Instant, from_timestamp, to_timestamp
from services.records.domain.content import latest_at, placed_at
from services.records.domain.revisions import origin_of
from services.records.domain.selection import MOST_COUNTED, HeldRecords, LeftOut, Selection, select
from services.records.domain.weight import weight_of
from services.records.store.sqlite import reads
from services.records.store.values.records import LATEST, People
from tests.testkit.builders.records import SHOW, fresh_id, hours, person, result, sampling, submission
from tests.testkit.clocks import NOON, ManualClock
from tests.testkit.servers.records_service import Records, opened, refused
from tests.testkit.servers.store_urls import sqlite_url

NEGATIVE, POSITIVE = TestResult.TEST_RESULT_NEGATIVE, TestResult.TEST_RESULT_POSITIVE
SINGLE, POOL = Tube.TUBE_SINGLE, Tube.TUBE_POOL_10
DAY = 24.0


async def selected(
    records: Records,
    *people: bytes,
    since: float = -72.0,
    newest: int = 3,
    clearing: int = 4,
    own: Sequence[str] = (),
    known_at: Instant | None = None,
) -> BatchListRecordsResponse:
    """Returns what is given of these people's pasts; `since` in hours from NOON."""
    answer: BatchListRecordsResponse = await records.calls.BatchListRecords(
        BatchListRecordsRequest(
            subjects=[Subject(person_key=key) for key in people],
            purpose=SHOW,
            known_at=None if known_at is None else to_timestamp(known_at),
            selection=RecordSelection(since=hours(since), newest=newest, clearing=clearing, own_regions=own),
        )
    )
    return answer


async def given(records: Records, **asked: Any) -> tuple[list[str], dict[str, float]]:
    """Returns the ids given of person 1, newest first, and before when something was left out, in hours from NOON."""
    of_person = (await selected(records, person(1), **asked)).people[0]
    before = {one.region: (from_timestamp(one.before) - NOON) / HOUR for one in of_person.left_out}
    return [record.source_id for record in of_person.records], {key: round(value, 3) for key, value in before.items()}


async def past(records: Records, *contents: RecordContent, region: str = "430000") -> list[str]:
    """Person 1's records, submitted; their ids."""
    ids = [fresh_id() for _ in contents]
    rows = [submission(i, person(1), content, region) for i, content in zip(ids, contents, strict=True)]
    for start in range(0, len(rows), 500):
        await records.submit_many(rows[start : start + 500])
    return ids


def taken(
    hours_ago: float, outcome: TestResult.ValueType = NEGATIVE, tube: Tube.ValueType = SINGLE, **more: Any
) -> Any:
    """A result of a sample taken so many hours before NOON, and reported two hours later."""
    return result(-hours_ago, -hours_ago + 2, outcome, tube, **more)


async def test_what_is_recent_and_the_newest_few_are_given(records: Records) -> None:
    """And it is said from when on nothing was left out; a short past is given whole, and says nothing."""
    ids = await past(records, *[taken(DAY * day + 1) for day in range(1, 21)])
    # Each was reported an hour after noon: those of three days, or as many more as are wanted.
    assert (ids[:3], {"": -24.0 * 4 + 1}) == await given(records)
    assert (ids[:6], {"": -24.0 * 7 + 1}) == await given(records, newest=6)
    assert (ids, {}) == await given(records, newest=20)
    assert (ids[:16], {"": -24.0 * 17 + 1}) == await given(records, since=-17 * DAY + 2, newest=0)


async def test_what_is_left_out_is_counted(records: Records) -> None:
    """Of any region and of each that was asked about, as it is and as it was known; what was retracted is none."""
    ids = await past(records, *[taken(DAY * day) for day in range(1, 31)])
    await past(records, *[taken(DAY * day) for day in range(1, 6)], region="340000")
    first = records.clock()
    records.clock.forward(60)
    for number, source_id in enumerate(ids[-4:]):
        await records.retract(source_id, 1, cause=str(number))
    await records.amend(ids[-5], 1, taken(DAY * 26 + 1))
    now = (await selected(records, person(1), own=["340000", "430000"])).people[0]
    # Of 27 of one region and 2 of the other that are older than three days, none is given.
    older = 27 - 4
    assert {"": older + 2, "340000": 2, "430000": older} == {one.region: one.count for one in now.left_out}
    then = await selected(records, person(1), own=["340000", "430000"], known_at=first)
    assert {"": older + 6, "340000": 2, "430000": older + 4} == {
        one.region: one.count for one in then.people[0].left_out
    }


async def test_what_is_left_out_is_counted_so_far_and_no_further(records: Records) -> None:
    """To 300; where there are more, it is said that these are the least, of any region as of one, now as then."""
    ids = await past(records, *[taken(DAY * day) for day in range(1, MOST_COUNTED + 6)])
    first = records.clock()
    records.clock.forward(60)
    # Of what is given, some is as old as what is not: it is none of those counted.
    await records.amend(ids[150], 1, taken(DAY * 151, POSITIVE))
    await records.retract(ids[200], 1)

    async def counted(**asked: Any) -> list[tuple[str, int, bool]]:
        of_person = (await selected(records, person(1), own=["430000"], **asked)).people[0]
        return [(one.region, one.count, one.at_least) for one in of_person.left_out]

    now = MOST_COUNTED + 5 - 3
    # Three are recent; of the others the one that counts against is given, and four that may clear it.
    assert [("", now - 6, False), ("430000", now - 6, False)] == await counted()
    assert [("", MOST_COUNTED, True), ("430000", MOST_COUNTED, True)] == await counted(known_at=first)
    await past(records, *[taken(DAY * (400 + day)) for day in range(4)])
    assert [("", MOST_COUNTED, False), ("430000", MOST_COUNTED, False)] == await counted()
    await past(records, taken(DAY * 600))
    assert [("", MOST_COUNTED, True), ("430000", MOST_COUNTED, True)] == await counted()


async def test_a_late_report_is_recent(records: Records) -> None:
    """A sample of long ago that was reported yesterday counts from its report."""
    old = await past(records, *[taken(DAY * day) for day in range(20, 30)])
    late = await past(records, result(-100 * DAY, -DAY))
    ids, _ = await given(records)
    assert {*old[:2], *late} == set(ids)


async def test_what_counts_against_is_given_however_old_with_what_clears_it(records: Records) -> None:
    """Of what came since, only the first negatives of single tubes: not pools, and not what was tested later."""
    await past(records, *[taken(DAY * day, tube=POOL) for day in range(20, 390)])
    [positive] = await past(records, taken(DAY * 400, POSITIVE))
    clearing = await past(records, taken(DAY * 399.5), taken(DAY * 398), taken(DAY * 397), taken(DAY * 396))
    ids, _ = await given(records, clearing=3)
    assert [*reversed(clearing[:3]), positive] == ids[3:]
    [pool] = await past(records, taken(DAY * 395, POSITIVE, POOL))
    [retest] = await past(records, taken(DAY * 394))
    ids, _ = await given(records, clearing=1)
    assert [retest, pool, clearing[0], positive] == ids[3:]
    await records.retract(pool, 1)
    assert pool not in (await given(records))[0]


async def test_amended_a_hundred_times_it_is_one_record(records: Records) -> None:
    """Only the last revision counts, by what it says: one that became negative is no longer given for ever."""
    await past(records, *[taken(DAY * day) for day in range(5, 10)])
    [old] = await past(records, taken(DAY * 300, POSITIVE))
    assert old in (await given(records))[0]
    for revision in range(1, 101):
        await records.amend(old, revision, taken(DAY * 300, POSITIVE if revision % 2 == 0 else NEGATIVE))
    assert old in (await given(records))[0]
    await records.amend(old, 101, taken(DAY * 300))
    assert old not in (await given(records))[0]
    [moved] = await past(records, taken(DAY * 200))
    await records.amend(moved, 1, taken(DAY))
    ids, _ = await given(records)
    assert moved == ids[0]


async def test_copies_and_their_originals_are_given_together(records: Records) -> None:
    """However old, for one tells of the other; where both documents of a person are asked about, of each."""
    await past(records, *[taken(DAY * day) for day in range(5, 15)])
    [original] = await past(records, taken(DAY * 300))
    elsewhere = fresh_id()
    await records.submit(elsewhere, person(2), taken(DAY * 301))
    await records.submit_many([submission(fresh_id(), person(2), taken(DAY * day)) for day in range(5, 15)])
    copies = await past(
        records,
        taken(DAY * 300, origin=Origin(region="430000", source_id=original, revision=1)),
        taken(DAY * 301, origin=Origin(region="430000", source_id=elsewhere, revision=1)),
        region="340000",
    )
    ids, _ = await given(records)
    assert {original, *copies} == set(ids[3:])
    both = await selected(records, person(1), person(2))
    assert elsewhere in {record.source_id for record in both.people[1].records}
    alone = await selected(records, person(2))
    assert elsewhere not in {record.source_id for record in alone.people[0].records}


@pytest.fixture
def records(store: Any) -> Records:
    """A store that is kept for two regions."""
    return Records(store, ManualClock(), keeps=("430000", "340000"))


async def test_a_regions_own_records_are_given_where_asked(records: Records) -> None:
    """Its newest, where the others hide them; what is left out of it is told apart."""
    await past(records, *[taken(DAY * day) for day in range(5, 15)])
    own = await past(records, *[taken(DAY * day) for day in range(100, 106)], region="340000")
    ids, before = await given(records, own=["340000", "110000"])
    assert own[:3] == ids[3:]
    assert {"": -24.0 * 8 + 2, "340000": -24.0 * 103 + 2} == before
    ids, before = await given(records, own=["430000"])
    assert {"": -24.0 * 8 + 2, "430000": -24.0 * 8 + 2} == before


async def test_a_wrong_selection_is_refused(records: Records) -> None:
    """Each wrong field is named."""
    error = await refused(selected(records, person(1), newest=21, clearing=101, own=["1"]))
    assert ["selection.newest", "selection.clearing", "selection.own_regions[0]"] == [
        one.field for one in error.violations
    ]


def _random_content(rng: random.Random, originals: Sequence[str]) -> RecordContent:
    sampled = -rng.choice([rng.uniform(1, 100), rng.uniform(1, 4000), float(rng.randrange(1, 200))])
    if rng.random() < 0.1:
        return sampling(sampled)
    origin = None
    if originals and rng.random() < 0.1:
        origin = Origin(region="430000", source_id=rng.choice(originals), revision=1)
    outcome = rng.choices([NEGATIVE, POSITIVE, TestResult.TEST_RESULT_INCONCLUSIVE], [8, 1, 1])[0]
    reported = min(0.0, sampled + rng.choice([2.0, rng.uniform(0, -sampled)]))
    return result(None if rng.random() < 0.1 else sampled, reported, outcome, rng.choice([SINGLE, POOL]), origin=origin)


async def _random_pasts(records: Records, rng: random.Random) -> None:
    """Five people: submitted, amended, retracted."""
    originals: list[str] = []
    for who in range(1, 6):
        for _ in range(rng.choice([0, 2, 15])):
            content = _random_content(rng, originals)
            region = "340000" if content.HasField("origin") or rng.random() < 0.2 else "430000"
            source_id = fresh_id()
            await records.submit(source_id, person(who), content, region=region)
            if region != "430000":
                continue
            originals.append(source_id)
            revision = 1
            for _ in range(rng.choice([0, 0, 1, 3])):
                amended = _random_content(rng, [])
                if amended.kind == content.kind:
                    revision = (await records.amend(source_id, revision, amended)).revision
            if rng.random() < 0.1:
                await records.retract(source_id, revision)


@pytest.mark.parametrize("seed", range(6))
async def test_indexes_give_what_reading_everything_gives(records: Records, seed: int) -> None:
    """Whatever the pasts and the question, now and as known then; later changes make no difference to then."""
    rng = random.Random(seed)
    people = [person(who) for who in range(1, 7)]
    questions = [
        Selection(
            Instant(NOON - rng.randrange(1, 4000) * HOUR),
            rng.randrange(4),
            rng.randrange(4),
            rng.choice([(), ("340000",), ("430000", "340000", "110000")]),
        )
        for _ in range(40)
    ]
    then: dict[Instant, list[_Told]] = {}
    for _ in range(3):
        await _random_pasts(records, rng)
        known_at = records.clock()
        everything = await records.store.people(people, LATEST)
        expected = then[known_at] = [_selected_of(everything, question) for question in questions]
        for question, told in zip(questions, expected, strict=True):
            assert told == _told(await records.store.people(people, LATEST, selection=question))
        records.clock.forward(60)
    for known_at, expected in then.items():
        for question, told in zip(questions, expected, strict=True):
            assert told == _told(await records.store.people(people, known_at, selection=question))


class _Told(NamedTuple):
    """The records that a selection gave of each person, and what it left out."""

    given: Mapping[bytes, list[TestRecord]]
    left_out: Mapping[bytes, Mapping[str, LeftOut]]


def _told(people: People) -> _Told:
    given = {key: [TestRecord.FromString(record.body) for record in records] for key, records in people.records.items()}
    return _Told(given, {key: dict(left) for key, left in people.left_out.items()})


class _Read(NamedTuple):
    """A record as it was read, with what a selection looks at."""

    record: TestRecord
    placed_at: int
    latest_at: int
    weight: int
    retracted: bool

    @property
    def region(self) -> str:
        return self.record.region

    @property
    def source_id(self) -> str:
        return self.record.source_id


def _read(record: TestRecord) -> _Read:
    content, retracted = record.content, record.action == RevisionAction.REVISION_ACTION_RETRACTED
    weight = weight_of(content, retracted=retracted)
    return _Read(record, placed_at(content), latest_at(content), weight, retracted)


def _selected_of(everything: People, question: Selection) -> _Told:
    """Returns what the selection gives of all that is known of some people: by the plain rules, of all of it."""
    held = {
        key: [_read(TestRecord.FromString(record.body)) for record in records]
        for key, records in everything.records.items()
    }
    source = HeldRecords(held, lambda one: origin_of(one.record.content))
    choices = select(held, question, source, lambda one: origin_of(one.record.content))
    return _Told(
        {key: [one.record for one in choice.given] for key, choice in choices.items() if choice.given},
        {key: choice.left_out for key, choice in choices.items() if choice.left_out},
    )


_BY_LATEST = "INDEX revision_by_latest"
_BY_KEY = "PRIMARY KEY"


@pytest.mark.parametrize(
    ("query", "searches"),
    [
        (
            reads.FIRST,
            [
                "revision USING INDEX revision_always_given (person_key=?)",
                f"revision USING {_BY_LATEST} (person_key=? AND superseded_at=?)",
            ],
        ),
        (
            reads.FIRST_THEN,
            [
                "revision USING INDEX revision_always_given (person_key=?)",
                f"revision USING COVERING {_BY_LATEST} (person_key=? AND superseded_at=?)",
                f"row USING {_BY_KEY} (person_key=? AND region=? AND source_id=? AND revision=?)",
            ],
        ),
        (
            reads.SUPERSEDED_SINCE,
            [
                f"revision USING COVERING {_BY_LATEST} (person_key=? AND superseded_at>? AND superseded_at<?)",
                f"row USING {_BY_KEY} (person_key=? AND region=? AND source_id=? AND revision=?)",
            ],
        ),
        (reads.CLEARING, [f"revision USING {_BY_LATEST} (person_key=? AND superseded_at=? AND latest_at>?)"]),
        (
            reads.COUNT,
            [
                "revision USING INDEX revision_retracted (person_key=?)",
                f"revision USING COVERING {_BY_LATEST} (person_key=? AND superseded_at=? AND latest_at<?)",
                "revision USING INDEX revision_retracted (person_key=?)",
            ],
        ),
        (
            reads.COUNT_THEN,
            [f"revision USING COVERING {_BY_LATEST} (person_key=? AND superseded_at=? AND latest_at<?)"],
        ),
        (
            reads.OWN,
            [
                f"revision USING COVERING {_BY_LATEST} (person_key=? AND superseded_at=?)",
                f"row USING {_BY_KEY} (person_key=? AND region=? AND source_id=? AND revision=?)",
            ],
        ),
    ],
)
async def test_nothing_of_the_past_is_read_but_what_is_given(tmp_path: Path, query: str, searches: list[str]) -> None:
    """On SQLite each part is found by an index, and nothing is sorted that is read to an end of it; PostgreSQL's plans
    are held by the statements' test."""
    async with opened(sqlite_url(tmp_path)):
        with sqlite3.connect(tmp_path / "records.db") as connection:
            blanks = len(set(re.findall(r"\?\d", query)))
            steps = [row[3] for row in connection.execute(f"explain query plan {query}", (1,) * blanks)]
    assert [f"SEARCH {search}" for search in searches] == [step for step in steps if step.startswith("SEARCH")]
    assert "USE TEMP B-TREE FOR ORDER BY" not in steps
