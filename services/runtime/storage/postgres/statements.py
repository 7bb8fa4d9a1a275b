"""The statements that apply a migration to PostgreSQL, and keep the ledger of those applied."""

import re
from collections.abc import Sequence

from services.runtime.storage.schema import Migration

PARTITIONS = 16
SHARDS = 32
"""Of each distributed table, on Citus."""

LEDGER = """
create table if not exists store_migration (
    store text not null,
    number integer not null,
    name text not null,
    distributed boolean not null,
    applied_at timestamptz not null default now(),
    primary key (store, number)
)
"""
"""What was applied to a database, by kind of store."""

ADDITIONS = """
create table if not exists store_addition (
    store text not null,
    number integer not null,
    name text not null,
    applied_at timestamptz not null default now(),
    primary key (store, number)
)
"""
"""The same of migrations that only add: programs that do not know one do not look here, and go on."""

NOTE_ADDITION = "insert into store_addition (store, number, name) values ($1, $2, $3)"
NOTE = "insert into store_migration (store, number, name, distributed) values ($1, $2, $3, $4) on conflict do nothing"


def statements(migration: Migration, *, distribute: bool) -> str:
    """Everything that applies one migration; with `distribute`, on the coordinator of a Citus cluster."""
    if not migration.hashed and not migration.shared:
        return "\n".join([migration.statements, migration.rows])
    if distribute:
        tables = migration.statements.format_map({table: "" for table, _ in migration.hashed})
        calls = [
            f"select create_distributed_table('{table}', '{column}', shard_count => {SHARDS}, colocate_with => 'none');"
            for table, column in migration.hashed
        ]
        calls += [f"select create_reference_table('{table}');" for table in migration.shared]
    else:
        tables = migration.statements.format_map(
            {table: f"partition by hash ({column})" for table, column in migration.hashed}
        )
        calls = [
            f"create table {table}_{n} partition of {table} for values with (modulus {PARTITIONS}, remainder {n});"
            for table, _ in migration.hashed
            for n in range(PARTITIONS)
        ]
    return "\n".join([tables, *calls, migration.rows])


def one_by_one(sql: str) -> Sequence[str]:
    """Returns the statements of a migration, each of which ends with its line. Citus hands the text of a message on to
    its workers, which take one statement at a time."""
    return [statement for statement in re.split(r";[ ]*$", sql, flags=re.MULTILINE) if statement.strip()]


def script(store: str, migration: Migration, *, distribute: bool) -> str:
    """The same with its line of the ledger, for who applies it by hand."""
    name = migration.name.replace("'", "''")
    if migration.adds:
        line = f"('{store}', {migration.number}, '{name}')"
        note = f"{ADDITIONS.strip()};\ninsert into store_addition (store, number, name) values {line};"
    else:
        line = f"('{store}', {migration.number}, '{name}', {str(distribute).lower()})"
        note = f"insert into store_migration (store, number, name, distributed) values {line};"
    return "\n".join(["begin;", statements(migration, distribute=distribute), note, "commit;"])
