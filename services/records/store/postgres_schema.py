"""The tables of a PostgreSQL store, hash-partitioned from the start.

Revisions are partitioned by person, so that each hot query goes to one partition for each person it names; on Citus the
same tables are distributed by the same columns. A unique index of a partitioned table must contain the partition key,
so that (region, source_id) is unique is held by `identity`, a narrow table partitioned by source_id, whose rows are
also the locks of their records. The row of `feed_head`, and what is small, is in ordinary tables.
"""

VERSION = 1

PARTITIONS = 16

_TABLES = """
create table feed_head (
    only_row boolean primary key default true check (only_row),
    feed_id text not null,
    sequence bigint not null,
    laboratory_sequence bigint not null,
    recorded_at bigint not null,
    schema_version integer not null
);
create table identity (
    region text not null,
    source_id text not null,
    person_key bytea not null,
    primary key (region, source_id)
) partition by hash (source_id);
create table revision (
    person_key bytea not null,
    region text not null,
    source_id text not null,
    revision integer not null,
    sequence bigint not null,
    recorded_at bigint not null,
    placed_at bigint not null,
    retracted boolean not null,
    laboratory text not null,
    digest bytea not null,
    body bytea not null,
    primary key (person_key, region, source_id, revision)
) partition by hash (person_key);
create index revision_by_sequence on revision (sequence);
create index revision_by_place on revision using brin (placed_at);
create table laboratory (
    laboratory text not null,
    revision integer not null,
    sequence bigint not null unique,
    body bytea not null,
    primary key (laboratory, revision)
);
create table follow (
    region text primary key,
    feed_id text not null,
    sequence bigint not null,
    as_of bigint not null
);
create table answer (
    request text primary key,
    fingerprint bytea not null,
    body bytea not null,
    answered_at bigint not null
);
create index answer_by_age on answer (answered_at);
"""


def statements() -> str:
    """Everything that makes an empty database a store, except the row of feed_head."""
    partitions = [
        f"create table {table}_{n} partition of {table} for values with (modulus {PARTITIONS}, remainder {n});"
        for table in ("identity", "revision")
        for n in range(PARTITIONS)
    ]
    return _TABLES + "\n".join(partitions)
