"""The statements of the PostgreSQL store: all are seen, and those that are sent often name their partitions."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from services.records import store as stores
from services.records.store.postgres.store import PostgresStore
from services.records.store.schemas import SCHEMAS
from services.runtime.storage.migration_command import migrate
from services.runtime.storage.postgres.statements import PARTITIONS
from tests.testkit.builders.records import person
from tests.testkit.checks.citus import COLD, is_cold, make_as_distributed
from tests.testkit.checks.statements import Sent, closed, recorded, tables_of, written
from tests.testkit.checks.store_walk import OWNER, PEOPLE, SOURCE, walk

pytestmark = pytest.mark.postgres

# A move of keys to another version of the secret has tests of its own, and is none of what the walk asks for.
NOT_WALKED = {"key_moves", "migration", "schema"}
STORE = sorted(path for path in Path(str(stores.__file__)).parent.glob("postgres/*.py") if path.stem not in NOT_WALKED)


@pytest.fixture
async def sent(postgres_url: str) -> list[Sent]:
    """Everything the store says when everything is asked of it."""
    with recorded() as sent:
        store = PostgresStore(postgres_url, migrates=True, drives_copies=True, owner=OWNER)
        await walk(store)
        await store.close()
    return sent


async def test_no_statement_of_the_store_is_left_out(sent, postgres_server):
    """Every statement that stands in its modules was sent, to one node or to a cluster: the tests of statements see all
    there are."""
    url = await postgres_server.create_database()
    await make_as_distributed(url)
    with recorded() as sent_to_cluster:
        store = PostgresStore(url, drives_copies=True, owner=OWNER)
        await walk(store)
        await store.close()
    await postgres_server.drop_database(url)
    said = {closed(one.query) for one in [*sent, *sent_to_cluster]}
    unsaid = {
        where: pattern.pattern
        for where, pattern in written(STORE).items()
        if not any(pattern.fullmatch(one) for one in said)
    }
    assert {} == unsaid
    assert 30 < len(written(STORE))


def every(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A plan's nodes."""
    yield plan
    for inner in plan.get("Plans", ()):
        yield from every(inner)


def touched(plan: dict[str, Any]) -> set[str]:
    """The relations that a plan, run, looked into."""
    return {node["Relation Name"] for node in every(plan) if node["Actual Loops"] and "Relation Name" in node}


def named(arguments: Any) -> Iterator[bytes | str]:
    """The people and the records that arguments name."""
    for one in arguments:
        if isinstance(one, list | tuple):
            yield from named(one)
        elif one in KEYS or (isinstance(one, str) and one.startswith(SOURCE)):
            yield one


KINDS: dict[str, tuple[type, str]] = {"revision": (bytes, "bytea"), "identity": (str, "text")}
"""What partitions each table, a person's key or a record's source_id, here and in the database."""

KEYS = {person(number) for number in range(1, PEOPLE + 200)}


def literal(value: Any) -> str:
    """An argument as SQL has it."""
    if isinstance(value, bytes):
        return f"'\\x{value.hex()}'::bytea"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, list | tuple):
        return f"array[{', '.join(map(literal, value))}]" if value else "'{}'"
    return str(value)


async def run_plan(connection: asyncpg.Connection, sent: Sent) -> dict[str, Any]:
    """The generic plan of a statement, which the service's connections keep, run and undone."""
    await connection.execute(f"prepare asked as {sent.query}")
    transaction = connection.transaction()
    await transaction.start()
    given = f"({', '.join(map(literal, sent.arguments))})" if sent.arguments else ""
    plan = json.loads(await connection.fetchval(f"explain (analyze, format json) execute asked{given}"))
    await transaction.rollback()
    await connection.execute("deallocate asked")
    return dict(plan[0]["Plan"])


async def test_what_names_people_looks_into_their_partitions_alone(sent, postgres_url):
    """Prepared as the service prepares them, on tables whose small size is known, all statements about people or
    records, hot or not, read and write exactly the partitions of those they name."""
    connection = await asyncpg.connect(postgres_url, server_settings={"plan_cache_mode": "force_generic_plan"})
    await connection.execute("analyze")

    async def partition_of(table: str, value: bytes | str) -> str:
        number = await connection.fetchval(
            f"select n from generate_series(0, {PARTITIONS - 1}) as n "
            f"where satisfies_hash_partition('{table}'::regclass, {PARTITIONS}, n, $1::{KINDS[table][1]})",
            value,
        )
        return f"{table}_{number}"

    seen: dict[str, set[int]] = {}
    for one in sent:
        tables = tables_of(one.query) & set(KINDS)
        # What is inserted goes where it belongs, and reads nothing.
        if not tables or one.query.startswith(("copy", "insert")) or is_cold(one.query):
            continue
        (table,) = tables
        expected = {
            await partition_of(table, name) for name in set(named(one.arguments)) if isinstance(name, KINDS[table][0])
        }
        plan = await run_plan(connection, one)
        assert expected == {name for name in touched(plan) if name.startswith(f"{table}_")}, (one.query, plan)
        seen.setdefault(one.query, set()).add(len(expected))
    await connection.close()
    # None is there by chance: each kind was seen, and not only where all partitions are named.
    assert {"identity": 4, "revision": 18} == {table: sum(table in tables_of(one) for one in seen) for table in KINDS}
    assert all(min(sizes) < PARTITIONS for sizes in seen.values())


@pytest.mark.parametrize("name", ["the feed, by sequence", "the purge, by sequence"])
async def test_what_goes_by_sequence_reads_no_more_than_it_gives(sent, postgres_url, name):
    """It names nobody: of every partition it asks the index by sequence, and throws away nothing that it has read."""
    connection = await asyncpg.connect(postgres_url, server_settings={"plan_cache_mode": "force_generic_plan"})
    # With statistics of few rows, reading them all would be the better plan.
    await connection.execute("set enable_seqscan = off")
    (one, *_) = [one for one in sent if one.query.startswith(COLD[name])]
    plan = await run_plan(connection, one)
    await connection.close()
    scans = [scan for scan in every(plan) if scan.get("Relation Name", "").startswith("revision_")]
    assert PARTITIONS == len(scans)
    assert {"Index Scan", "Bitmap Heap Scan"} >= {scan["Node Type"] for scan in scans}
    assert [] == [scan for scan in scans if "Filter" in scan or "sequence" not in json.dumps(scan)]


async def test_a_role_that_owns_nothing_is_enough(postgres_url):
    """Tables' owner migrates; the service, and the purge, do all they do as a role that may read and write rows."""
    connection = await asyncpg.connect(postgres_url)
    name = f"service_{postgres_url.rpartition('/')[2]}"
    await connection.execute(f"create role {name} login")
    await connection.execute(f"alter default privileges grant select, insert, update, delete on tables to {name}")
    await migrate(SCHEMAS, postgres_url)
    try:
        store = PostgresStore(postgres_url.replace("//hutong@", f"//{name}@"), drives_copies=True, owner=OWNER)
        await walk(store)
        await store.close()
    finally:
        await connection.execute(f"drop owned by {name}; drop role {name}")
        await connection.close()
