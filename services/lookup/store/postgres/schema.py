"""The tables of the holder store in PostgreSQL, as numbered migrations, applied at the first use.

Databases made before they had numbers have tables of the first two, which leave as they are what is there. A migration
that was released is never edited: a change is a new one.
"""

from typing import Any

from services.runtime.storage.migrations import SchemaError

_HOLDERS = """
create table if not exists holder_log (
    sequence bigint primary key,
    action text not null check (action in ('link', 'unlink', 'switch')),
    person_key bytea not null,
    other_key bytea,
    region text,
    scope integer,
    cause text not null,
    request_id text not null,
    affected bytea[] not null,
    recorded_at bigint not null
);
create unique index if not exists holder_log_request on holder_log (request_id) where request_id <> '';
create table if not exists holder_link (
    person_key bytea not null,
    other_key bytea not null,
    primary key (person_key, other_key)
);
create table if not exists holder_switch (
    person_key bytea not null,
    region text not null,
    scope integer not null,
    sequence bigint not null,
    primary key (person_key, region)
);
"""

_KNOWN_THEN = """
create index if not exists holder_log_person on holder_log (person_key);
create index if not exists holder_log_other on holder_log (other_key);
create table if not exists source_note (
    noted_at bigint not null,
    source text not null,
    replica text not null,
    state text not null check (state in ('down', 'up', 'missed')),
    primary key (noted_at, source, replica)
);
"""

MIGRATIONS = (_HOLDERS, _KNOWN_THEN)
"""From number 1 on; a number means the same as in SQLite."""


async def migrate(connection: Any) -> None:
    """Applies what is missing, within a transaction and under a lock that are the caller's. Raises SchemaError for a
    database that is ahead of this program."""
    await connection.execute("create table if not exists holder_schema (number integer primary key)")
    found = await connection.fetchval("select coalesce(max(number), 0) from holder_schema")
    if found > len(MIGRATIONS):
        raise SchemaError(f"the schema is at {found}, this program knows only {len(MIGRATIONS)}: update it")
    for number, statements in enumerate(MIGRATIONS[found:], found + 1):
        await connection.execute(statements)
        await connection.execute("insert into holder_schema values ($1)", number)
