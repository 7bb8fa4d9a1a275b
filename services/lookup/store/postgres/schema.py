"""The tables of the holder store in PostgreSQL, as numbered migrations.

Databases made before they had numbers have tables of the first two, which leave as they are what is there. A migration
that was released is never edited: a change is a new one.
"""

from services.runtime.storage.schema import EarlierLedger, Migration, Schema

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

_OWNER = """
create table if not exists store_owner (
    only_row boolean primary key default true check (only_row),
    secret_fingerprint bytea not null,
    feed_id text not null
);
"""

_PROVEN_MEMBERS = """
create table if not exists proven_member (
    name text primary key,
    entry text not null,
    feed_id text not null
);
"""

# The version of the mesh's secret that keys are written under, how often keys were moved from one to another, and the
# fingerprints of those of which some may be left. No row: keys are of the owner's version, and never were moved.
_KEYS = """
create table key_move (
    only_row boolean primary key default true check (only_row),
    key_version integer not null,
    moved_keys bigint not null,
    older_secrets bytea not null
);
"""

MIGRATIONS = (
    Migration(1, "holders", _HOLDERS),
    Migration(2, "as known then", _KNOWN_THEN),
    Migration(3, "owner", _OWNER),
    Migration(4, "proven members", _PROVEN_MEMBERS, adds=True),
    Migration(5, "keys that are moved to another version", _KEYS, adds=True),
)

SCHEMA = Schema(
    "lookup",
    "holder_log",
    MIGRATIONS,
    # Before migrations were a command of their own, a service made the tables by itself.
    earlier=(EarlierLedger("holder_schema", "select number, 'holders', false from holder_schema"),),
)
