"""Questions about laboratories' figures, and records, amendments and retractions that they are made of."""

from typing import Any

import msgspec
import pytest
from hutong.records.v1 import conflict_service_pb2 as cpb
from hutong.records.v1 import laboratory_quality_service_pb2 as qpb
from hutong.records.v1.record_pb2 import Origin, RevisionAction, TestResult, Tube
from hypothesis import strategies as st

from services.common.errors import ServiceError
from services.common.instants import Instant, to_timestamp
from services.records.domain.quality import Sample
from services.records.quality.figure_counter import FigureCounter
from services.records.quality.figures import LaboratoryFigures
from services.records.store.protocols.record_store import RecordStore
from tests.testkit.builders.records import KEEP, fresh_id, person, result, sampling, submission
from tests.testkit.oracles import laboratory_quality as reference
from tests.testkit.servers.records_service import Records


def days(first: str, last: str) -> qpb.DayRange:
    """A range of days."""
    return qpb.DayRange(first=first, last=last)


WEEK = days("2022-08-01", "2022-08-06")
FIRST = Sample(Instant(0), "", "", "")
"""Before every sample."""
NEGATIVE, POSITIVE = TestResult.TEST_RESULT_NEGATIVE, TestResult.TEST_RESULT_POSITIVE


def counting_of(records: Records) -> FigureCounter:
    """Returns a counter of the same store."""
    return FigureCounter("tests", records.store, records.store.figures, records.clock)


def quality_of(records: Records) -> LaboratoryFigures:
    """Returns the figures of the same store."""
    return LaboratoryFigures(records.store, counting_of(records))


def plain(quality: qpb.LaboratoryQuality) -> dict[str, Any]:
    """The figures that are not 0, rates to four places."""
    made: dict[str, Any] = {
        field.name: round(value, 4) if isinstance(value, float) else value for field, value in quality.ListFields()
    }
    if quality.discordant_with:
        made["discordant_with"] = {other.laboratory: other.pairs for other in quality.discordant_with}
    return made


async def listed(
    records: Records, known_at: Instant | None = None, size: int = 0, **asked: Any
) -> list[dict[str, Any]]:
    """All figures, page by page."""
    found: list[dict[str, Any]] = []
    token = ""
    while True:
        request = qpb.ListLaboratoryQualityRequest(page_size=size, page_token=token, **asked)
        if known_at is not None:
            request.known_at.CopyFrom(to_timestamp(known_at))
        page = await records.calls.ListLaboratoryQuality(request)
        found += map(plain, page.quality)
        token = page.next_page_token
        if not token:
            return found


async def overdue(records: Records, known_at: Instant | None = None, size: int = 0, **asked: Any) -> list[Any]:
    """All overdue samples, page by page."""
    found: list[Any] = []
    token = ""
    while True:
        request = qpb.ListOverdueSamplesRequest(page_size=size, page_token=token, **asked)
        if known_at is not None:
            request.known_at.CopyFrom(to_timestamp(known_at))
        page = await records.calls.ListOverdueSamples(request)
        found += page.samples
        token = page.next_page_token
        if not token:
            return found


LABORATORIES = ("a", "b", "c")
contents = st.builds(
    lambda sampled, took, outcome, tube, laboratory, origin: (
        result(
            sampled,
            reported=(sampled or 0.0) + took if sampled is not None else -30.0 + took,
            outcome=outcome,
            tube=tube,
            laboratory=laboratory,
            origin=Origin(region="440000") if origin else None,
        )
        if outcome
        else sampling(-30.0 if sampled is None else sampled, tube, laboratory)
    ),
    # NOON is of the 5th; midnight is 12 hours before it, and a day's end falls among these.
    st.sampled_from([None, -61.0, -36.5, -36.0, -24.0, -12.001, -12.0, -11.0]),
    st.sampled_from([0.5, 1.0, 1.0003, 9.0]),
    st.sampled_from([0, 0, 1, 1, 2, 2, 3]),
    st.sampled_from([Tube.TUBE_SINGLE, Tube.TUBE_SINGLE, Tube.TUBE_POOL_10]),
    st.sampled_from(LABORATORIES),
    st.sampled_from([False, False, False, True]),
)
steps = st.lists(
    st.tuples(
        st.sampled_from(["submit", "submit", "submit", "submit", "amend", "retract", "keep", "take"]),
        st.integers(0, 5),
        st.integers(1, 2),
        contents,
    ),
    min_size=1,
    max_size=14,
)


async def take(records: Records, log: list[reference.Entry], step: Any) -> bool:
    """Takes one step, and writes down what was accepted; returns whether the step was not refused."""
    action, number, who, content = step
    source_id = f"S{number}"
    mine = [entry for entry in log if entry.source_id == source_id]
    added, done = RevisionAction.REVISION_ACTION_AMENDED, True
    try:
        if action == "submit":
            await records.submit(source_id, person(who), content)
        elif action == "amend":
            await records.amend(source_id, len(mine), content)
        elif action == "retract":
            added = RevisionAction.REVISION_ACTION_RETRACTED
            await records.retract(source_id, len(mine))
        else:
            await _settle(records, source_id, _SETTLEMENTS[action])
    except ServiceError:
        done = False
    if not mine and not done:
        return False
    if not mine:
        added = RevisionAction.REVISION_ACTION_SUBMITTED
    for record in (await records.history(source_id))[len(mine) :] if mine or action == "submit" else []:
        contested = record.action == RevisionAction.REVISION_ACTION_CONTESTED
        if contested:
            # A refused submission stands, or a settlement brought back one that another conflict is about.
            assert (action == "submit" and not done and record.content == content) or action == "keep"
        else:
            assert done
            assert record.action == added
        at = record.recorded_at.ToMicroseconds()
        owner = mine[0].person if mine else person(who)
        log.append(reference.Entry(at, source_id, owner, record.content, action == "retract", contested))
    return done


_SETTLEMENTS = {
    "keep": cpb.Settlement.SETTLEMENT_STORED_KEPT,
    "take": cpb.Settlement.SETTLEMENT_OFFERED_TAKEN,
}


async def _settle(records: Records, source_id: str, how: cpb.Settlement.ValueType) -> None:
    """Settles the newest open conflict about what one person's sample says, if there is one."""
    page = await records.calls.ListConflicts(cpb.ListConflictsRequest(purpose=KEEP))
    about = [c for c in page.conflicts if c.source_id == source_id and c.reason == "RECORD_CONFLICT"]
    if about:
        request = cpb.SettleConflictRequest(
            conflict_id=about[-1].conflict_id, settlement=how, cause="asked the laboratory", purpose=KEEP
        )
        await records.calls.SettleConflict(request)


async def kept(store: RecordStore) -> list[Any]:
    """All that is counted, in a form that compares."""
    async with store.figures.reading() as counts:
        tallies = await counts.tallies_between(0, 1 << 20)
        spans = [(*key, span) for key in tallies for span in msgspec.msgpack.decode(tallies[key])[6]]
        return [
            {key: msgspec.msgpack.decode(body) for key, body in tallies.items()},
            {key: msgspec.msgpack.decode(body) for key, body in (await counts.spans(spans)).items()},
            await counts.waiting("", FIRST, Instant(1 << 62), 1_000),
        ]


async def counted_all(count: FigureCounter, most: int = 5_000) -> None:
    """Counts to the end."""
    while (standing := await count.step(most)).sequence < standing.head or not standing.complete:
        pass


async def many(records: Records) -> None:
    """A few hundred changes: results of samples, contradictions, corrections."""
    ids = [fresh_id() for _ in range(150)]
    who = {source_id: person(n % 40) for n, source_id in enumerate(ids)}
    lab = {source_id: f"lab-{n % 3}" for n, source_id in enumerate(ids)}
    await records.submit_many([submission(i, who[i], sampling(-20.0, laboratory=lab[i])) for i in ids])
    results = [
        submission(i, who[i], result(-20.0, -19.0 + n / 20, POSITIVE if n % 9 == 0 else NEGATIVE, laboratory=lab[i]))
        for n, i in enumerate(ids[:120])
    ]
    await records.submit_many(results)
    for source_id in ids[:10]:
        await records.retract(source_id, 2)


async def refused(call: Any) -> list[tuple[str, str]]:
    """The fields and reasons for which a call is refused."""
    with pytest.raises(ServiceError) as caught:
        await call
    return [(violation.field, violation.reason) for violation in caught.value.violations]
