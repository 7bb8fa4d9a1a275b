"""Citus's demands on statements and tables, as rules over their text and over PostgreSQL's catalogs.

What a cluster (Citus 13.2) refuses, and what it would do on every node. They are what can be held without a cluster;
they are not a cluster, which runs the contract suite of the stores where there is one.
"""

import re
from collections.abc import Iterator, Mapping

import asyncpg

from services.records.store.schemas import SCHEMAS
from services.runtime.storage.migration_command import migrate
from tests.testkit.checks.statements import tables_of

DISTRIBUTED: Mapping[str, str] = {"identity": "source_id", "revision": "person_key"}
"""Each distributed table's column."""

_LATERAL = re.compile(r"lateral \( ?(select .*?) ?\) as \w+")
_UPDATE = re.compile(r"on conflict \([^)]*\) do update")


def offences(query: str, *, cold: bool = False, few: bool = False) -> Iterator[str]:
    """Yields what a distributed database could not do in one statement, on one line, or would not do on one node. A
    `cold` one may ask all nodes; one about `few` keys may ask the shards that have them alone."""
    distributed = tables_of(query) & set(DISTRIBUTED)
    if not distributed or query.startswith("copy"):
        return
    if len(distributed) > 1:
        yield "joins tables that are not kept together"
    routed = all(_routed(query, table) for table in distributed)
    if not routed and re.search(r"\bfor (no key )?(update|share)\b", query):
        yield "locks rows over shards"
    for table in distributed:
        column = DISTRIBUTED[table]
        if query.startswith("insert"):
            found = _UPDATE.search(query)
            if found and re.search(r"\w\(", query[found.end() :]):
                yield "a function in on conflict do update"
        elif not cold and not re.search(rf"\b{column} = (\$\d+|any\(\$\d+\S*\)|\w+\.{column})(?!\w)", query):
            yield f"does not name {column}"
    if routed:
        # One node has all of it, and does whatever it is told.
        return
    for inner in _LATERAL.findall(query):
        if re.search(r"\b(limit|offset|distinct|group by|having)\b|\b(max|min|sum|count|array_agg)\(", inner):
            yield "a lateral subquery that a shard cannot answer alone"
        elif few:
            yield "asks every shard"


def _routed(query: str, table: str) -> bool:
    """Tells if a statement names one value of the table's column wherever it reads the table."""
    values = re.findall(rf"\b{DISTRIBUTED[table]} = ([$\w.]+)", query)
    return (
        len(set(values)) == 1 and values[0].startswith("$") and len(values) >= len(re.findall(rf"\b{table}\b", query))
    )


async def offences_of_tables(connection: asyncpg.Connection) -> list[str]:
    """Returns what the tables of a database, not distributed yet, have that Citus does not take."""
    found = []
    for table, column in DISTRIBUTED.items():
        unique = await connection.fetch(
            "select i.indexrelid::regclass::text from pg_index as i where i.indrelid = $1::text::regclass "
            "and i.indisunique and not exists (select 1 from pg_attribute as a where a.attrelid = i.indrelid "
            "and a.attname = $2 and a.attnum = any(i.indkey))",
            table,
            column,
        )
        found += [f"{name}: unique without {column}" for (name,) in unique]
        columns = await connection.fetch(
            "select column_name from information_schema.columns where table_name = $1 "
            "and (is_identity = 'YES' or column_default like 'nextval(%')",
            table,
        )
        found += [f"{table}.{name}: numbered by a sequence" for (name,) in columns]
        triggers = "select tgname from pg_trigger where tgrelid = $1::text::regclass and not tgisinternal"
        found += [f"{table}: trigger {name}" for (name,) in await connection.fetch(triggers, table)]
    keys = await connection.fetch("select conname, conrelid::regclass::text from pg_constraint where contype = 'f'")
    return found + [f"{table}: foreign key {name}" for name, table in keys]


_STUBS = """
create function create_distributed_table(t regclass, c text, shard_count int, colocate_with text)
returns void language sql as '';
create function create_reference_table(t regclass) returns void language sql as '';
"""


async def make_as_distributed(url: str) -> None:
    """Makes the tables of records in a database of one node as they are handed to Citus: a store there says to it what
    it would say to a cluster."""
    connection = await asyncpg.connect(url)
    await connection.execute(_STUBS)
    await connection.close()
    await migrate(SCHEMAS, url, distribute=True)


COLD = {
    "the feed, by sequence": "select sequence, false as is_laboratory",
    "laboratories' quality, by place in time": "select ( select array_agg(body order by revision)",
    "whose a store is, once": "select region from identity where region <> $1",
    "everybody's keys, page by page": "select distinct person_key from revision where person_key > $1",
    "what earlier programs wrote, until it is weighed": (
        "select person_key, region, source_id, revision, retracted, body from revision"
    ),
    "the purge, by sequence": "select person_key, region, source_id, sequence, recorded_at from revision",
}
"""What reads revisions without naming anybody, by how it begins."""


def is_cold(query: str) -> bool:
    """Tells if a statement is one of those above that name nobody."""
    return query.startswith(tuple(COLD.values()))
