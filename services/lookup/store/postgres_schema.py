"""The tables of the holder store in PostgreSQL. What is here is made where it is missing, at the first use."""

SCHEMA = """
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
create index if not exists holder_log_person on holder_log (person_key);
create index if not exists holder_log_other on holder_log (other_key);
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
create table if not exists source_note (
    noted_at bigint not null,
    source text not null,
    replica text not null,
    state text not null check (state in ('down', 'up', 'missed')),
    primary key (noted_at, source, replica)
);
"""
