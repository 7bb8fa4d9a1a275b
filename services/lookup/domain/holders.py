"""Holders' changes: the documents that are one person's, and the database that a region's code looks at.

A link joins two documents; a person is a connected component of links. Both decisions here are pure: a store loads the
neighbourhood of a command, asks `decide`, and writes what was decided in the same transaction.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from hutong.lookup.v1.region_pb2 import Scope

from services.common.errors import AlreadyExists, FailedPrecondition, NotFound
from services.common.instants import Instant

MOST_DOCUMENTS = 16
"""How many documents one person may have linked (holder_service.proto)."""

KeyAt = tuple[bytes, Instant]
"""A person key, and the instant as known at which its holder is asked about."""

Edge = tuple[bytes, bytes]
"""A link between two person keys, the lesser first."""


@dataclass(frozen=True, slots=True)
class Link:
    """Two documents are one person's."""

    person: bytes
    other: bytes
    cause: str = field(compare=False)
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Unlink:
    """One link is undone."""

    person: bytes
    other: bytes
    cause: str = field(compare=False)
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Switch:
    """The holder's code in one region looks at another database from now on."""

    person: bytes
    region: str
    scope: Scope.ValueType
    request_id: str = ""


Command = Link | Unlink | Switch


@dataclass(frozen=True, slots=True)
class SwitchInForce:
    """A switch in force for one document. The one with the greatest sequence over all documents of a person applies."""

    person: bytes
    region: str
    scope: int
    sequence: int


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """The links and switches of the people a command touches, which its decision rests on.

    `earlier` is what was done before under the command's request id.
    """

    edges: frozenset[Edge] = frozenset()
    switches: Sequence[SwitchInForce] = ()
    earlier: Command | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """The decision on a command. `affected` are the keys whose verdicts may change, `person` all keys of the first
    document's holder afterwards; both ascending."""

    changes: bool
    affected: tuple[bytes, ...]
    person: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Person:
    """A holder, as far as is known beyond the key that was shown.

    `keys`: the key asked for first, then those of linked documents, ascending. `scopes`: the switch in force by region.
    """

    keys: tuple[bytes, ...]
    scopes: Mapping[str, Scope.ValueType]


@dataclass(frozen=True, slots=True)
class HolderEvent:
    """One entry of the log, as a follower sees it."""

    sequence: int
    person_keys: tuple[bytes, ...]
    recorded_at: Instant


@dataclass(frozen=True, slots=True)
class LoggedCommand:
    """A command from the log, and whom it was read for, as known when."""

    asked: KeyAt
    command: Command


def edge(one: bytes, other: bytes) -> Edge:
    """The link between two keys."""
    return (one, other) if one < other else (other, one)


def component(key: bytes, edges: Iterable[Edge]) -> tuple[bytes, ...]:
    """All keys connected to this one, itself included, ascending."""
    neighbours: dict[bytes, list[bytes]] = defaultdict(list)
    for one, other in edges:
        neighbours[one].append(other)
        neighbours[other].append(one)
    seen = {key}
    frontier = [key]
    while frontier:
        fresh = [near for near in neighbours[frontier.pop()] if near not in seen]
        seen.update(fresh)
        frontier.extend(fresh)
    return tuple(sorted(seen))


def decide(command: Command, known: Neighbourhood) -> Decision:
    """Decides on a command, given what is known.

    A command whose request id was served before changes nothing. Raises FailedPrecondition (TOO_MANY_DOCUMENTS),
    NotFound (LINK_NOT_FOUND), AlreadyExists (REQUEST_ID_REUSED).
    """
    person = component(command.person, known.edges)
    if known.earlier is not None:
        if known.earlier != command:
            raise AlreadyExists(
                "REQUEST_ID_REUSED", "该请求编号已用于其他请求", "This request id was used for another request"
            )
        return Decision(False, (), person)
    if isinstance(command, Link):
        return _link(command, known, person)
    if isinstance(command, Unlink):
        return _unlink(command, known, person)
    return _switch(command, known, person)


def _link(command: Link, known: Neighbourhood, person: tuple[bytes, ...]) -> Decision:
    added = edge(command.person, command.other)
    if added in known.edges:
        return Decision(False, (), person)
    # Two documents connected only through a third get a link of their own: it must outlive the undoing of the others.
    joined = component(command.person, known.edges | {added})
    if len(joined) > MOST_DOCUMENTS:
        raise FailedPrecondition(
            "TOO_MANY_DOCUMENTS",
            f"一人最多关联{MOST_DOCUMENTS}份证件",
            f"One person has at most {MOST_DOCUMENTS} documents",
        )
    return Decision(True, joined, joined)


def _unlink(command: Unlink, known: Neighbourhood, person: tuple[bytes, ...]) -> Decision:
    removed = edge(command.person, command.other)
    if removed not in known.edges:
        raise NotFound("LINK_NOT_FOUND", "两份证件没有直接关联", "The two documents are not directly linked")
    return Decision(True, person, component(command.person, known.edges - {removed}))


def _switch(command: Switch, known: Neighbourhood, person: tuple[bytes, ...]) -> Decision:
    in_region = [switched for switched in known.switches if switched.region == command.region]
    newest = max(in_region, key=lambda switched: switched.sequence, default=None)
    # Only the document's own newest switch makes a repetition idle: another document's would be lost with its link.
    idle = newest is not None and newest.person == command.person and newest.scope == command.scope
    return Decision(not idle, () if idle else person, person)


def people(rows: Iterable[tuple[bytes, bytes, str | None, int | None, int | None]]) -> dict[bytes, Person]:
    """People by the key asked for, from rows of (asked, key, region, scope, sequence): every key of each person, with
    each of its switches. Without a switch the last three are None."""
    keys: dict[bytes, set[bytes]] = {}
    newest: dict[bytes, dict[str, tuple[int, int]]] = {}
    for asked, key, region, scope, sequence in rows:
        keys.setdefault(asked, set()).add(key)
        if region is not None and scope is not None and sequence is not None:
            switches = newest.setdefault(asked, {})
            switches[region] = max(switches.get(region, (0, 0)), (sequence, scope))
    return {
        asked: Person(
            (asked, *sorted(found - {asked})),
            {region: Scope.ValueType(scope) for region, (_, scope) in newest.get(asked, {}).items()},
        )
        for asked, found in keys.items()
    }


def people_known_at(entries: Iterable[LoggedCommand]) -> dict[KeyAt, Person]:
    """Returns people as known at instants, by the key and instant asked for. `entries` are those of the log, up to the
    instant and in their order, of everybody whom links ever connected to the key."""
    edges: dict[KeyAt, set[Edge]] = defaultdict(set)
    switches: dict[KeyAt, list[Switch]] = defaultdict(list)
    for entry in entries:
        command = entry.command
        if isinstance(command, Switch):
            switches[entry.asked].append(command)
        elif isinstance(command, Link):
            edges[entry.asked].add(edge(command.person, command.other))
        else:
            edges[entry.asked].discard(edge(command.person, command.other))
    people_at: dict[KeyAt, Person] = {}
    for asked in edges.keys() | switches.keys():
        shown, _ = asked
        person = component(shown, edges[asked])
        # In order of the log, so that the newest of each region stays.
        scopes = {switch.region: switch.scope for switch in switches[asked] if switch.person in person}
        if len(person) > 1 or scopes:
            people_at[asked] = Person((shown, *(key for key in person if key != shown)), scopes)
    return people_at
