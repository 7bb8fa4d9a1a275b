"""A store's keys are moved to another version of the secret, on either engine, all or none."""

from collections.abc import Sequence

import asyncpg
import pytest
from hutong.common.v1.subject_pb2 import DocumentType, Purpose, Subject
from hutong.records.v1.correction_service_pb2 import CorrectionRequestKind, RequestCorrectionRequest
from hutong.records.v1.record_write_service_pb2 import SubmitOutcome

from services.common.documents import PersonKeys
from services.common.errors import InvalidArgument, ServiceError
from services.common.mesh_secret import parse_mesh_secret
from services.records.settings import Settings
from services.records.store.opening import open_store
from services.records.store.rekeying import REKEYING
from services.runtime.settings.environment import SettingsError
from services.runtime.storage.rekeying import rekey
from services.runtime.storage.schema import SchemaError
from tests.testkit.builders.records import result
from tests.testkit.clocks import ManualClock
from tests.testkit.secret import SECRET
from tests.testkit.servers.records_service import Records, refused

NEXT = f"root: {SECRET}\n1: {SECRET}\n2: another version, long enough\ncurrent: 2\n"
UNKNOWN = "root: another root, long enough\n7: another version, long enough\ncurrent: 7\n"
PASSPORTS = ("E10000001", "E10000002", "E10000003")
RECORDS: Sequence[tuple[str, int]] = (("S1", 0), ("S2", 0), ("S3", 1), ("S4", 2))


def keys(text: str) -> list[bytes]:
    """Returns the keys of the test's people under a secret."""
    return [PersonKeys(text.encode()).of_number(DocumentType.DOCUMENT_TYPE_PASSPORT, number) for number in PASSPORTS]


def settings(url: str, text: str) -> Settings:
    """Returns the settings of the store."""
    return Settings(region="430000", mesh_secret=text, store_url=url, store_migrate=True)


async def filled(url: str) -> None:
    """Makes a store of three people under the first version, with an amendment, a retraction and a conflict."""
    store = open_store(settings(url, SECRET))
    try:
        records = Records(store, ManualClock())
        people = keys(SECRET)
        for source_id, who in RECORDS:
            await records.submit(source_id, people[who], result(-9.0, -5.0))
        await records.retract("S3", 1)
        await refused(records.submit("S4", people[0], result(-9.0, -5.0)))
        await records.calls.RequestCorrection(
            RequestCorrectionRequest(
                region="430000",
                source_id="S1",
                subjects=[Subject(person_key=people[0])],
                kind=CorrectionRequestKind.CORRECTION_REQUEST_KIND_WRONG_TIME,
                purpose=Purpose.PURPOSE_HOLDER_DECISION,
            )
        )
    finally:
        await store.close()


async def corrections(url: str, text: str) -> list[list[str]]:
    """Returns the ids of the records that each person, as they are found under a secret, asked to have corrected."""
    store = open_store(settings(url, text))
    try:
        return [[one.source_id for one in await store.correction_requests_of([who])] for who in keys(text)]
    finally:
        await store.close()


async def ids(url: str, text: str) -> list[list[tuple[str, int, bytes]]]:
    """Returns the records of each person, as they are found under a secret, and the history of a retracted one."""
    store = open_store(settings(url, text))
    try:
        records = Records(store, ManualClock(), secret=text)
        found = [[(one.source_id, one.revision, one.person_key) for one in await records.of(who)] for who in keys(text)]
        return [*found, [(one.source_id, one.revision, one.person_key) for one in await records.history("S3")]]
    finally:
        await store.close()


def without_keys(found: list[list[tuple[str, int, bytes]]]) -> list[list[tuple[str, int]]]:
    """Returns the same without the keys of people."""
    return [[one[:2] for one in person] for person in found]


async def test_everybody_is_found_under_the_new_version(store_url: str):
    """With the same records and histories, whose keys are new ones; and what was submitted again is the same again."""
    await filled(store_url)
    before = await ids(store_url, SECRET)
    assert 3 == await rekey(REKEYING, store_url, NEXT, parse_mesh_secret(NEXT))
    after = await ids(store_url, NEXT)
    assert [["S1"], [], []] == await corrections(store_url, NEXT)
    assert without_keys(before) == without_keys(after)
    assert {key for person in after for _, _, key in person} <= set(keys(NEXT))
    store = open_store(settings(store_url, NEXT))
    try:
        records = Records(store, ManualClock(), secret=NEXT)
        again = await records.submit("S1", keys(NEXT)[0], result(-9.0, -5.0))
        assert SubmitOutcome.SUBMIT_OUTCOME_UNCHANGED == again.outcome
    finally:
        await store.close()


async def test_the_old_version_opens_it_no_longer(store_url: str):
    """A service that was left with it does not start, and looks for nobody."""
    await filled(store_url)
    await rekey(REKEYING, store_url, NEXT, parse_mesh_secret(NEXT))
    with pytest.raises((SettingsError, ServiceError), match=r"another secret|not available"):
        await ids(store_url, SECRET)


async def test_keys_that_cannot_be_opened_change_nothing(store_url: str):
    """Under a secret that lacks their version."""
    await filled(store_url)
    before = await ids(store_url, SECRET)
    with pytest.raises(InvalidArgument):
        await rekey(REKEYING, store_url, UNKNOWN, parse_mesh_secret(UNKNOWN))
    assert before == await ids(store_url, SECRET)


@pytest.mark.postgres
async def test_a_database_that_is_served_is_left_alone(postgres_url: str):
    """Its service would look for people by keys that stand there no longer."""
    await filled(postgres_url)
    connection = await asyncpg.connect(postgres_url)
    try:
        with pytest.raises(SchemaError, match="connected"):
            await rekey(REKEYING, postgres_url, NEXT, parse_mesh_secret(NEXT))
    finally:
        await connection.close()
