"""The tables of the store of push subscriptions in each engine, as numbered migrations. A migration that was released
is never edited: a change is a new one."""

from services.runtime.storage.schema import Migration, Schema, Schemas

_STATEMENTS = """
create table if not exists push_subscription (
    subscription_id {bytes} primary key,
    endpoint_digest {bytes} not null,
    person_key {bytes} not null,
    endpoint text not null,
    p256dh {bytes} not null,
    auth {bytes} not null,
    region text not null,
    language {int} not null,
    created_at {long} not null,
    renewed_at {long} not null,
    told_until {long} not null
){table};
create index if not exists push_subscription_person on push_subscription (person_key);
create index if not exists push_subscription_endpoint on push_subscription (endpoint_digest);
create index if not exists push_subscription_renewed on push_subscription (renewed_at);
create table if not exists push_notice (
    subscription_id {bytes} not null references push_subscription on delete cascade,
    kind {int} not null,
    due_at {long} not null,
    claimed_until {long} not null,
    attempts {int} not null,
    expires_at {long} not null,
    primary key (subscription_id, kind)
){table};
create index if not exists push_notice_due on push_notice (due_at);
create table if not exists push_cursor (
    feed text primary key,
    cursor text not null
){table};
create table if not exists push_owner (
    only_row {int} primary key check (only_row = 1),
    secret_fingerprint {bytes} not null
){table};
"""

SQLITE = Schema(
    "push",
    "push_subscription",
    (
        Migration(
            1,
            "subscriptions",
            _STATEMENTS.format(bytes="blob", int="integer", long="integer", table=" strict, without rowid"),
        ),
    ),
    application_id=int.from_bytes(b"htPu"),
    package="gateway.push",
)
POSTGRES = Schema(
    "push",
    "push_subscription",
    (Migration(1, "subscriptions", _STATEMENTS.format(bytes="bytea", int="integer", long="bigint", table="")),),
    package="gateway.push",
)
SCHEMAS = Schemas(SQLITE, POSTGRES, setting="HUTONG_PUSH_STORE")
