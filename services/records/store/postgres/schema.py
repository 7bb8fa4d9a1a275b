"""The tables of a PostgreSQL store, as numbered migrations.

Revisions are hash-partitioned by person, so that each hot query goes to one partition for each person it names; on
Citus (`distribute`) the same tables are distributed by the same columns instead. A unique index of such a table must
contain the column, so that (region, source_id) is unique is held by `identity`, a narrow table by source_id. The row of
`feed_head`, and what is small, is in ordinary tables; on Citus those that are read together with revisions are
reference tables, and the others stay on the coordinator. No statement here is ever edited once released: a change is a
new one.
"""

from services.runtime.storage.schema import EarlierLedger, Migration, Schema

_RECORDS = """
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
) {identity};
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
) {revision};
create index revision_by_sequence on revision (sequence);
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

_FEED = """
insert into feed_head (feed_id, sequence, laboratory_sequence, recorded_at, schema_version)
values (replace(gen_random_uuid()::text, '-', ''), 0, 0, 0, 1);
"""

_INTAKE = """
create table intake_session (
    session text primary key,
    batch bigint not null,
    moved_at bigint not null
);
"""

_RETENTION = """
create table purged (
    first bigint primary key,
    last bigint not null
);
"""

_QUALITY = """
create index revision_by_place on revision using brin (placed_at);
"""

_CORRECTION = """
alter table follow add column if not exists mark bytea not null default '';
alter table follow add column if not exists rereading boolean not null default false;
create table if not exists feed_mark (
    last_sequence bigint primary key,
    arrived_at bigint not null,
    mark bytea not null
);
create table if not exists origin_copy (
    origin_region text not null,
    origin_source_id text not null,
    region text not null,
    source_id text not null,
    primary key (origin_region, origin_source_id, region, source_id)
);
create table if not exists copy_due (
    region text not null,
    source_id text not null,
    sequence bigint not null,
    primary key (region, source_id)
);
create table if not exists conflict (
    number bigint generated always as identity primary key,
    conflict_id text not null unique,
    region text not null,
    source_id text not null,
    revision integer not null,
    reason text not null,
    person_key bytea not null,
    content bytea not null,
    offered_by text not null,
    first_at bigint not null,
    last_at bigint not null,
    times integer not null,
    settlement integer not null,
    cause text not null,
    settled_by text not null,
    settled_at bigint
);
create table if not exists followed_lag (
    region text not null,
    noted_at bigint not null,
    as_of bigint,
    primary key (region, noted_at)
);
create index if not exists conflict_by_record on conflict (region, source_id);
create index if not exists origin_copy_by_copy on origin_copy (region, source_id);
"""

_HOLDERS = """
alter table feed_head add column purged_before bigint not null default 0;
-- What was purged before that was kept had been committed no later than the last of its numbers.
update feed_head set purged_before = coalesce((
    select arrived_at + 1 from feed_mark where last_sequence >= (select max(last) from purged)
    order by last_sequence limit 1
), 0);
create table former_holder (
    region text not null,
    source_id text not null,
    person_key bytea not null,
    primary key (region, source_id, person_key)
);
"""

_COUNTS = """
create table count_head (
    only_row boolean primary key default true check (only_row),
    rules integer not null,
    sequence bigint not null,
    complete boolean not null
);
create table count_tally (
    day integer not null,
    laboratory text not null,
    body bytea not null,
    primary key (day, laboratory)
);
create table count_span (
    day integer not null,
    laboratory text not null,
    span integer not null,
    body bytea not null,
    primary key (day, laboratory, span)
);
create table count_waiting (
    placed_at bigint not null,
    region text not null,
    source_id text not null,
    laboratory text not null,
    primary key (placed_at, region, source_id)
);
create index count_waiting_by_laboratory on count_waiting (laboratory, placed_at, region, source_id);
create table count_accused (
    person_key bytea not null,
    day integer not null,
    primary key (person_key, day)
);
insert into count_head (rules, sequence, complete) values (0, 0, false);
"""

_SELECTION = """
-- What earlier programs wrote tells nothing of these: it is taken for new, and always given.
alter table revision add column latest_at bigint not null default 4611686018427387904;
alter table revision add column weight smallint not null default 0;
alter table revision add column always_given boolean not null default false;
-- When the next revision of the record arrived, and that far future while there is none.
alter table revision add column superseded_at bigint not null default 4611686018427387904;
update revision set superseded_at = following.recorded_at
from (
    select person_key, region, source_id, revision,
        lead(recorded_at) over (partition by person_key, region, source_id order by revision) as recorded_at
    from revision
) as following
where (following.person_key, following.region, following.source_id, following.revision)
    = (revision.person_key, revision.region, revision.source_id, revision.revision)
and following.recorded_at is not null;
create index revision_by_latest on revision (person_key, latest_at) where superseded_at = 4611686018427387904;
create index revision_always_given on revision (person_key)
    where always_given and superseded_at = 4611686018427387904;
"""

_OWNER = """
create table store_owner (
    only_row boolean primary key default true check (only_row),
    region text not null,
    secret_fingerprint bytea not null
);
"""

_PAST = """
drop index revision_by_latest;
-- Its first entries are of what is current, those behind of what was current until then. What a count or an earlier
-- instant asks for is in it: no row is read for what is not given.
create index revision_by_latest on revision (
    person_key, superseded_at, latest_at desc, region collate "C", source_id collate "C"
) include (recorded_at, retracted);
-- What earlier programs wrote, until it is told apart. Then it is empty.
create index revision_unweighed on revision (person_key) where latest_at = 4611686018427387904;
"""

# The version of the mesh's secret that keys are written under, 0 as long as the owner's fingerprint alone tells it,
# how often keys were moved from one to another, and the fingerprints of those of which some may be left.
_KEYS = """
alter table feed_head add column key_version integer not null default 0;
alter table feed_head add column moved_keys bigint not null default 0;
alter table feed_head add column older_secrets bytea not null default '';
"""

_CORRECTION_REQUESTS = """
create table correction_request (
    number bigint generated always as identity primary key,
    correction_request_id text not null unique,
    region text not null,
    source_id text not null,
    revision integer not null,
    person_key bytea not null,
    laboratory text not null,
    kind integer not null,
    text text not null,
    requested_at bigint not null,
    answer integer not null,
    corrected_by integer not null,
    forwarded_to text not null,
    answer_text text not null,
    answered_by text not null,
    answered_at bigint
);
create index correction_request_by_person on correction_request (person_key, number);
create index correction_request_by_record on correction_request (region, source_id);
"""

MIGRATIONS = (
    Migration(
        1,
        "records",
        _RECORDS,
        hashed=(("identity", "source_id"), ("revision", "person_key")),
        # PostgreSQL has no unique index of `sequence` alone, nor has Citus: reference tables keep theirs.
        shared=("feed_head", "laboratory"),
        rows=_FEED,
    ),
    Migration(2, "intake sessions", _INTAKE),
    Migration(3, "retention", _RETENTION, shared=("purged",)),
    Migration(4, "quality of laboratories", _QUALITY),
    # Marks are read together with laboratories and the head; the rest stays on the coordinator, like `follow`.
    Migration(5, "correction", _CORRECTION, shared=("feed_mark",)),
    Migration(6, "retention stated, ids that changed hands", _HOLDERS),
    # No statement reads these together with what is distributed: on Citus they stay on the coordinator.
    Migration(7, "counts of laboratories' quality", _COUNTS),
    Migration(8, "selections of records", _SELECTION),
    Migration(9, "whose the store is", _OWNER),
    Migration(10, "selections as known then", _PAST),
    Migration(11, "keys that are moved to another version", _KEYS, adds=True),
    # On Citus it stays on the coordinator: it is small, and no statement reads it together with what is distributed.
    Migration(12, "correction requests", _CORRECTION_REQUESTS, adds=True),
)

SCHEMA = Schema(
    "records",
    "revision",
    MIGRATIONS,
    earlier=(
        EarlierLedger("schema_migration", "select number, name, distributed from schema_migration"),
        # Before migrations were a command of their own, a service made the tables of the first by itself.
        EarlierLedger("feed_head", "select 1, 'records', false"),
    ),
)
