"""The tables of a SQLite store."""

SCHEMA = """
create table if not exists feed_head (
    only_row integer primary key check (only_row = 1),
    feed_id text not null,
    sequence integer not null,
    laboratory_sequence integer not null,
    recorded_at integer not null
);
create table if not exists identity (
    region text not null,
    source_id text not null,
    person_key blob not null,
    primary key (region, source_id)
) without rowid;
create table if not exists revision (
    person_key blob not null,
    region text not null,
    source_id text not null,
    revision integer not null,
    sequence integer not null,
    recorded_at integer not null,
    placed_at integer not null,
    retracted integer not null,
    laboratory text not null,
    digest blob not null,
    body blob not null,
    primary key (person_key, region, source_id, revision)
) without rowid;
create unique index if not exists revision_by_sequence on revision (sequence);
create index if not exists revision_by_place on revision (placed_at);
create table if not exists laboratory (
    laboratory text not null,
    revision integer not null,
    sequence integer not null unique,
    body blob not null,
    primary key (laboratory, revision)
) without rowid;
create table if not exists follow (
    region text primary key,
    feed_id text not null,
    sequence integer not null,
    as_of integer not null
) without rowid;
create table if not exists answer (
    request text primary key,
    fingerprint blob not null,
    body blob not null,
    answered_at integer not null
) without rowid;
create table if not exists intake_session (
    session text primary key,
    batch integer not null,
    moved_at integer not null
) without rowid;
create table if not exists purged (
    first integer primary key,
    last integer not null
) without rowid;
create index if not exists answer_by_age on answer (answered_at);
"""
