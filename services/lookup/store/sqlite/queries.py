"""The statements of the holder store in SQLite. The number of keys is part of a statement."""

from functools import cache
from itertools import repeat

REACH = """
with recursive person (key) as (
    values (?), (?)
    union
    select link.other_key from person join holder_link as link on link.person_key = person.key
)
"""
EDGES = f"""{REACH}
select link.person_key, link.other_key from person join holder_link as link on link.person_key = person.key
where link.person_key < link.other_key
"""
SWITCHES = f"""{REACH}
select switch.person_key, switch.region, switch.scope, switch.sequence
from person join holder_switch as switch on switch.person_key = person.key
"""

PROVEN_MEMBERS = "select name, entry, feed_id from proven_member order by name"
EARLIER = "select action, person_key, other_key, region, scope, cause from holder_log where request_id = ?"
LATEST = "select coalesce((select recorded_at from holder_log order by sequence desc limit 1), 0)"
NOTES = """
select noted_at, source, replica, state from source_note
where noted_at > ? and noted_at <= ? and (state <> 'missed' or noted_at = ?) order by noted_at
"""


@cache
def with_something(count: int) -> str:
    """Selects those of so many keys, given twice over, that are linked or switched."""
    marks = ",".join(repeat("?", count))
    return (
        f"select person_key from holder_link where person_key in ({marks}) "
        f"union select person_key from holder_switch where person_key in ({marks})"
    )


@cache
def people(count: int) -> str:
    """Selects the documents and switches of the people behind so many keys."""
    marks = ",".join(repeat("(?)", count))
    return f"""
    with recursive asked (key) as (values {marks}), person (asked, key) as (
        select key, key from asked
        union
        select person.asked, link.other_key from person join holder_link as link on link.person_key = person.key
    )
    select person.asked, person.key, switch.region, switch.scope, switch.sequence
    from person left join holder_switch as switch on switch.person_key = person.key
    """


@cache
def entries(count: int) -> str:
    """Selects the log of everybody whom links ever connected to so many keys, each up to its instant. The cross join
    is no other than a join, but for its order: the log is found person by person."""
    marks = ",".join(repeat("(?, ?)", count))
    return f"""
    with recursive asked (key, at) as (values {marks}), person (asked, at, key) as (
        select key, at, key from asked
        union
        select person.asked, person.at, case when log.person_key = person.key then log.other_key else log.person_key end
        from person join holder_log as log on (log.person_key = person.key or log.other_key = person.key)
        where log.action = 'link' and log.recorded_at <= person.at
    )
    select person.asked, person.at, action, person_key, other_key, region, scope, cause
    from person cross join holder_log on person_key = person.key where recorded_at <= person.at order by sequence
    """
