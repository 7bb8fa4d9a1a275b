"""The tables of a SQLite store, as numbered migrations; a number means the same as in PostgreSQL.

Files made before they had numbers have any of the first five's tables: those five hold for what is there already, and
such a file goes through all of them. No statement here is ever edited once released: a change is a new one.
"""

from services.runtime.storage.schema import Migration, Schema

_RECORDS = """
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
create index if not exists answer_by_age on answer (answered_at);
insert or ignore into feed_head values (1, lower(hex(randomblob(16))), 0, 0, 0);
"""

_INTAKE = """
create table if not exists intake_session (
    session text primary key,
    batch integer not null,
    moved_at integer not null
) without rowid;
"""

_RETENTION = """
create table if not exists purged (
    first integer primary key,
    last integer not null
) without rowid;
"""

_QUALITY = """
create index if not exists revision_by_place on revision (placed_at);
"""

_CORRECTION = """
create table if not exists feed_mark (
    last_sequence integer primary key,
    arrived_at integer not null,
    mark blob not null
);
create table if not exists origin_copy (
    origin_region text not null,
    origin_source_id text not null,
    region text not null,
    source_id text not null,
    primary key (origin_region, origin_source_id, region, source_id)
) without rowid;
create table if not exists copy_due (
    region text not null,
    source_id text not null,
    sequence integer not null,
    primary key (region, source_id)
) without rowid;
create table if not exists conflict (
    number integer primary key,
    conflict_id text not null unique,
    region text not null,
    source_id text not null,
    revision integer not null,
    reason text not null,
    person_key blob not null,
    content blob not null,
    offered_by text not null,
    first_at integer not null,
    last_at integer not null,
    times integer not null,
    settlement integer not null,
    cause text not null,
    settled_by text not null,
    settled_at integer
);
create table if not exists followed_lag (
    region text not null,
    noted_at integer not null,
    as_of integer,
    primary key (region, noted_at)
) without rowid;
create index if not exists conflict_by_record on conflict (region, source_id);
create index if not exists origin_copy_by_copy on origin_copy (region, source_id);
"""

_HOLDERS = """
alter table feed_head add column purged_before integer not null default 0;
-- What was purged before that was kept had been committed no later than the last of its numbers.
update feed_head set purged_before = coalesce((
    select arrived_at + 1 from feed_mark where last_sequence >= (select max(last) from purged)
    order by last_sequence limit 1
), 0);
create table former_holder (
    region text not null,
    source_id text not null,
    person_key blob not null,
    primary key (region, source_id, person_key)
) without rowid;
"""

_COUNTS = """
create table count_head (
    only_row integer primary key check (only_row = 1),
    rules integer not null,
    sequence integer not null,
    complete integer not null
);
create table count_tally (
    day integer not null,
    laboratory text not null,
    body blob not null,
    primary key (day, laboratory)
) without rowid;
create table count_span (
    day integer not null,
    laboratory text not null,
    span integer not null,
    body blob not null,
    primary key (day, laboratory, span)
) without rowid;
create table count_waiting (
    placed_at integer not null,
    region text not null,
    source_id text not null,
    laboratory text not null,
    primary key (placed_at, region, source_id)
) without rowid;
create index count_waiting_by_laboratory on count_waiting (laboratory, placed_at, region, source_id);
create table count_accused (
    person_key blob not null,
    day integer not null,
    primary key (person_key, day)
) without rowid;
insert into count_head values (1, 0, 0, 0);
"""

_SELECTION = """
-- What earlier programs wrote tells nothing of these: it is taken for new, and always given.
alter table revision add column latest_at integer not null default 4611686018427387904;
alter table revision add column weight integer not null default 0;
alter table revision add column always_given integer not null default 0;
-- When the next revision of the record arrived, and that far future while there is none.
alter table revision add column superseded_at integer not null default 4611686018427387904;
update revision set superseded_at = coalesce((
    select min(recorded_at) from revision as later
    where (later.person_key, later.region, later.source_id)
        = (revision.person_key, revision.region, revision.source_id)
    and later.revision > revision.revision
), superseded_at);
create index revision_by_latest on revision (person_key, latest_at) where superseded_at = 4611686018427387904;
create index revision_always_given on revision (person_key)
    where always_given and superseded_at = 4611686018427387904;
"""

_OWNER = """
create table store_owner (
    only_row integer primary key check (only_row = 1),
    region text not null,
    secret_fingerprint blob not null
);
"""

_PAST = """
drop index revision_by_latest;
-- Its first entries are of what is current, those behind of what was current until then. What a count or an earlier
-- instant asks for is in it: no row is read for what is not given.
create index revision_by_latest on revision (
    person_key, superseded_at, latest_at desc, region, source_id, recorded_at, retracted
);
create index revision_retracted on revision (person_key) where retracted and superseded_at = 4611686018427387904;
-- What earlier programs wrote, until it is told apart. Then it is empty.
create index revision_unweighed on revision (person_key) where latest_at = 4611686018427387904;
"""

# The version of the mesh's secret that keys are written under, 0 as long as the owner's fingerprint alone tells it,
# how often keys were moved from one to another, and the fingerprints of those of which some may be left.
_KEYS = """
alter table feed_head add column key_version integer not null default 0;
alter table feed_head add column moved_keys integer not null default 0;
alter table feed_head add column older_secrets blob not null default x'';
"""

_CORRECTION_REQUESTS = """
create table correction_request (
    number integer primary key,
    correction_request_id text not null unique,
    region text not null,
    source_id text not null,
    revision integer not null,
    person_key blob not null,
    laboratory text not null,
    kind integer not null,
    text text not null,
    requested_at integer not null,
    answer integer not null,
    corrected_by integer not null,
    forwarded_to text not null,
    answer_text text not null,
    answered_by text not null,
    answered_at integer
);
create index correction_request_by_person on correction_request (person_key, number);
create index correction_request_by_record on correction_request (region, source_id);
"""

MIGRATIONS = (
    Migration(1, "records", _RECORDS),
    Migration(2, "intake sessions", _INTAKE),
    Migration(3, "retention", _RETENTION),
    Migration(4, "quality of laboratories", _QUALITY),
    Migration(
        5,
        "correction",
        _CORRECTION,
        columns=(
            ("follow", "mark", "blob not null default x''"),
            ("follow", "rereading", "integer not null default 0"),
        ),
    ),
    Migration(6, "retention stated, ids that changed hands", _HOLDERS),
    Migration(7, "counts of laboratories' quality", _COUNTS),
    Migration(8, "selections of records", _SELECTION),
    Migration(9, "whose the store is", _OWNER),
    Migration(10, "selections as known then", _PAST),
    Migration(11, "keys that are moved to another version", _KEYS, adds=True),
    Migration(12, "correction requests", _CORRECTION_REQUESTS, adds=True),
)

SCHEMA = Schema("records", "revision", MIGRATIONS, application_id=int.from_bytes(b"htRc"))
