"""A region restored from a backup: the nation notices however far the region has come since, gives back what was lost,
and in the end says what the region says, with its own history whole. Nobody is milder for a moment."""

import asyncio
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hutong.common.v1.text_pb2 import LocalizedText
from hutong.records.v1 import change_feed_service_pb2 as fpb
from hutong.records.v1 import conflict_service_pb2 as cpb
from hutong.records.v1 import record_write_service_pb2 as wpb
from hutong.records.v1.laboratory_pb2 import Interval
from hutong.records.v1.record_pb2 import RevisionAction, TestRecord, TestResult
from hutong.records.v1.record_read_service_pb2 import ListLaboratoriesRequest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.common.errors import ServiceError
from services.records.domain.gravity import revision_gravity
from services.records.domain.holders import Holdings
from services.records.domain.revisions import NewRevision, PersonRecord, StoredRevision, copy_of
from services.records.store.protocols.record_store import RecordStore
from services.records.store.unit_of_work import Known, Plan, Touch
from services.records.store.values.records import LATEST, CurrentRecord
from tests.testkit.builders.records import KEEP, hours, person, result, sampling
from tests.testkit.clocks import ManualClock
from tests.testkit.servers.records_service import Records, follow, opened
from tests.testkit.servers.store_urls import sqlite_copy, sqlite_url

Key = tuple[bytes, str]
"""A person and a source id."""

RETRACTED = RevisionAction.REVISION_ACTION_RETRACTED
CONTENTS = [
    sampling(),
    result(),
    result(outcome=TestResult.TEST_RESULT_POSITIVE),
    result(reported=-0.5),
    result(outcome=TestResult.TEST_RESULT_INCONCLUSIVE),
]
PEOPLE = 3
RECORDS = 5

steps = st.lists(
    st.tuples(
        st.sampled_from(["submit", "submit", "amend", "retract", "mistake", "suspend", "lift"]),
        st.integers(0, RECORDS - 1),
        st.integers(0, len(CONTENTS) - 1),
    ),
    max_size=8,
)


async def take(records: Records, step: tuple[str, int, int]) -> None:
    """One thing that happens in the region; what the region refuses does not happen."""
    action, number, content = step
    records.clock.forward(1)
    # Anybody may be the first under an id; the same id is often another's, and sometimes rightly so.
    source_id, who = f"S{number}", person((number + content) % PEOPLE)
    try:
        if action == "submit":
            await records.submit(source_id, who, CONTENTS[content])
        elif action == "mistake":
            found = await records.calls.ListConflicts(cpb.ListConflictsRequest(purpose=KEEP))
            for conflict in found.conflicts:
                request = cpb.SettleConflictRequest(
                    conflict_id=conflict.conflict_id,
                    settlement=cpb.Settlement.SETTLEMENT_OFFERED_TAKEN,
                    cause="why",
                    purpose=KEEP,
                )
                await records.calls.SettleConflict(request)
        elif action in ("amend", "retract"):
            current = (await records.history(source_id))[-1]
            if action == "amend":
                await records.amend(source_id, current.revision, CONTENTS[content])
            else:
                await records.retract(source_id, current.revision)
        elif action == "suspend":
            await records.calls.PutLaboratory(
                wpb.PutLaboratoryRequest(
                    region="430000", laboratory=f"430000-{number}", display_name=LocalizedText(zh=f"机构{content}")
                )
            )
            await records.calls.SuspendLaboratory(
                wpb.SuspendLaboratoryRequest(
                    laboratory=f"430000-{number}", suspension_id="s", sampled=Interval(to=hours(content)), cause="why"
                )
            )
        else:
            await records.calls.LiftSuspension(
                wpb.LiftSuspensionRequest(laboratory=f"430000-{number}", suspension_id="s", cause="over")
            )
    except ServiceError as error:
        if error.code.name not in ("ALREADY_EXISTS", "FAILED_PRECONDITION", "NOT_FOUND"):
            raise


async def says(records: Records) -> tuple[Any, Any]:
    """Returns the records of a store that stand, and the laboratories that are limited."""
    answer = await records.batch([person(number) for number in range(PEOPLE)])
    standing = {
        (entry.person_key, record.source_id): record.content.SerializeToString(deterministic=True)
        for entry in answer.people
        for record in entry.records
        if record.action != RETRACTED
    }
    listed = await records.calls.ListLaboratories(ListLaboratoriesRequest())
    limited = {
        laboratory.laboratory: [s.SerializeToString(deterministic=True) for s in laboratory.suspensions]
        for laboratory in listed.laboratories
        if laboratory.suspensions
    }
    return standing, limited


async def feed(records: Records) -> list[fpb.Change]:
    """A whole feed."""
    page = await records.calls.ListChanges(fpb.ListChangesRequest(page_size=5000))
    return list(page.changes)


def gravities(rows: Iterable[CurrentRecord]) -> dict[Key, int]:
    """Returns the gravity of what a store says of each record."""
    return {
        (row.person_key, row.source_id): revision_gravity(copy_of(TestRecord.FromString(row.body)).as_stored())
        for row in rows
    }


async def statements(store: RecordStore) -> dict[Key, int]:
    """The same of everybody here."""
    people = await store.people([person(number) for number in range(PEOPLE)], LATEST)
    return gravities(row for rows in people.records.values() for row in rows)


async def said_again(restored: Records, store: RecordStore) -> set[Key]:
    """The records of which the restored region says, or has said since, what the nation knows."""
    people = await store.people([person(number) for number in range(PEOPLE)], LATEST)
    again = set()
    for rows in people.records.values():
        for row in rows:
            known = copy_of(TestRecord.FromString(row.body))
            history = await histories(restored.store, known)
            if any((one.digest, one.retracted) == (known.digest, known.retracted) for one in history):
                again.add((row.person_key, row.source_id))
    return again


async def histories(store: RecordStore, known: NewRevision) -> list[StoredRevision]:
    """One person's revisions under an id."""
    key = PersonRecord(known.person_key, known.id)
    found: list[StoredRevision] = []

    def decide(now: Known) -> Plan:
        found[:] = Holdings(now.histories, now.others).of(key.id, key.person_key)
        return Plan(lambda _: b"")

    await store.commit(Touch({known.id: None}, others=[key]), decide, ManualClock())
    return found


@contextmanager
def nobody_milder(store: Any, but: set[Key], least: dict[Key, int]) -> Iterator[None]:
    """Fails at the first commit after which a record is milder than it was, but for those."""
    commit = store.commit

    async def checked(*arguments: Any) -> bytes:
        answer: bytes = await commit(*arguments)
        for key, now in (await statements(store)).items():
            assert key in but or now >= least.get(key, 0), key
        return answer

    store.commit = checked
    try:
        yield
    finally:
        del store.commit


async def scenario(directory: Path, nation_url: str, before: Any, lost: Any, after: Any) -> None:
    """Steps, a backup, steps that are lost with the region's machine, the backup restored, further steps."""
    async with opened(nation_url, "nation") as store:
        whole = Records(store, ManualClock(), "nation")
        async with opened(sqlite_url(directory, "region")) as region_store:
            region = Records(region_store, ManualClock())
            await region.submit("FIRST", person(0), result(-9, -8))
            for step in before:
                await take(region, step)
            sqlite_copy(directory, "region", "restored")
            await region.submit("LAST", person(0), result(-7, -6))
            for step in lost:
                await take(region, step)
            await follow(whole, region)
            told = await feed(whole)
        async with opened(sqlite_url(directory, "restored")) as region_store:
            restored = Records(region_store, ManualClock())
            restored.clock.forward(3600)
            whole.clock.forward(3600)
            for step in after:
                await take(restored, step)
            least, again = await statements(store), await said_again(restored, store)
            with nobody_milder(store, again, least):
                following = await follow(whole, restored)
            assert await says(following) == await says(restored)
            there = await statements(restored.store)
            # Nothing that was acknowledged is lost: it is in the region again, as it was or as a graver statement.
            assert least.keys() <= there.keys()
            assert [key for key in least.keys() - again if there[key] < least[key]] == []
            now = await feed(following)
            # Nothing that was told is changed or gone; what follows comes after it.
            assert now[: len(told)] == told
            # And from here on all is as ever.
            for step in [*lost, *before, ("submit", 4, 1)]:
                await take(restored, step)
            assert await says(await follow(following, restored)) == await says(restored)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(before=steps, lost=steps, after=steps)
def test_the_nation_says_what_the_restored_region_says(before: Any, lost: Any, after: Any) -> None:
    """Whatever happened before the backup, was lost, and happened since."""
    with tempfile.TemporaryDirectory() as name:
        asyncio.run(scenario(Path(name), sqlite_url(Path(name), "nation"), before, lost, after))


async def test_a_restored_region_that_has_gone_on_is_noticed(tmp_path: Path, nation_url: str) -> None:
    """The region has written past the cursor by the time it is asked again: numbers tell nothing, and it is noticed."""
    before = [("submit", 0, 0), ("submit", 1, 1), ("suspend", 1, 1)]
    lost = [("amend", 1, 2), ("submit", 2, 1), ("lift", 1, 0), ("retract", 0, 0)]
    after = [*(("submit", 3, 1), ("amend", 1, 3), ("amend", 1, 4)), *[("amend", 3, n % 4 + 1) for n in range(1, 9)]]
    await scenario(tmp_path, nation_url, before, lost, after)
