"""The tables of the store of supervision in each engine, as numbered migrations. A migration that was released is never
edited: a change is a new one."""

from services.runtime.storage.schema import Migration, Schema, Schemas

_STATEMENTS = """
create table if not exists supervision_mark (
    mark {bytes} primary key,
    until {day} not null
){table};
create index if not exists supervision_mark_until on supervision_mark (until);
create table if not exists supervision_figure (
    day {day} not null,
    region text not null,
    scene {day} not null,
    measure {day} not null,
    count {long} not null,
    primary key (day, region, scene, measure)
){table};
create index if not exists supervision_figure_region on supervision_figure (region, day);
create table if not exists supervision_refusal (
    refusal_id {bytes} primary key,
    day {day} not null,
    person_key {bytes} not null,
    region text not null,
    scene {day} not null,
    scope {day} not null,
    status {day} not null,
    notice {day} not null,
    at {long} not null,
    known_at {long} not null,
    first_shown_at {long} not null,
    policy_id text not null,
    policy_hash {bytes} not null,
    policy_from {long} not null,
    reasons text not null,
    silent text not null
){table};
create index if not exists supervision_refusal_shown on supervision_refusal (first_shown_at, refusal_id);
create index if not exists supervision_refusal_region on supervision_refusal (region, first_shown_at, refusal_id);
create index if not exists supervision_refusal_day on supervision_refusal (day);
create table if not exists supervision_owner (
    only_row {day} primary key check (only_row = 1),
    secret_fingerprint {bytes} not null
){table};
"""

SQLITE = Schema(
    "supervision",
    "supervision_figure",
    (
        Migration(
            1,
            "figures",
            _STATEMENTS.format(bytes="blob", day="integer", long="integer", table=" strict, without rowid"),
        ),
    ),
    application_id=int.from_bytes(b"htSv"),
    package="gateway.supervision",
)
POSTGRES = Schema(
    "supervision",
    "supervision_figure",
    (Migration(1, "figures", _STATEMENTS.format(bytes="bytea", day="integer", long="bigint", table="")),),
    package="gateway.supervision",
)
SCHEMAS = Schemas(SQLITE, POSTGRES, setting="HUTONG_SUPERVISION_STORE")
