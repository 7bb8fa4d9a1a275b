"""Links and switches: what a command does to what is known."""

from dataclasses import replace

import pytest
from hutong.lookup.v1.region_pb2 import Scope
from hypothesis import given
from hypothesis import strategies as st

from services.common.errors import AlreadyExists, FailedPrecondition, NotFound
from services.lookup.domain.holders import (
    MOST_DOCUMENTS,
    Edge,
    Link,
    Neighbourhood,
    Switch,
    SwitchInForce,
    Unlink,
    component,
    decide,
    edge,
    people,
)

LOCAL, NATIONAL = Scope.SCOPE_LOCAL, Scope.SCOPE_NATIONAL


def key(number: int) -> bytes:
    """A person key."""
    return number.to_bytes(16, "big")


def chain(length: int, start: int = 0) -> frozenset[Edge]:
    """That many documents, each linked to the next."""
    return frozenset(edge(key(n), key(n + 1)) for n in range(start, start + length - 1))


def groups_of(edges: set[frozenset[int]], count: int) -> list[set[int]]:
    """The simplest model of linked documents: sets, joined one link at a time."""
    groups = [{n} for n in range(count)]
    for link in edges:
        touched = [group for group in groups if group & link]
        groups = [group for group in groups if not group & link] + [set().union(*touched)]
    return groups


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 19), st.integers(0, 19)).filter(lambda op: op[1] != op[2])))
def test_links_agree_with_sets_joined_one_by_one(operations: list[tuple[bool, int, int]]) -> None:
    """In whatever order links come and go, a person is a set of documents joined by those that stand."""
    edges: frozenset[Edge] = frozenset()
    model: set[frozenset[int]] = set()
    for linking, one, other in operations:
        pair = frozenset((one, other))
        try:
            if linking:
                decision = decide(Link(key(one), key(other), "test"), Neighbourhood(edges))
            else:
                decision = decide(Unlink(key(one), key(other), "test"), Neighbourhood(edges))
        except FailedPrecondition:
            assert max(len(group) for group in groups_of(model | {pair}, 20)) > MOST_DOCUMENTS
            continue
        except NotFound:
            assert not linking
            assert pair not in model
            continue
        assert decision.changes == (pair not in model if linking else True)
        if linking:
            edges, model = edges | {edge(key(one), key(other))}, model | {pair}
        else:
            edges, model = edges - {edge(key(one), key(other))}, model - {pair}
        group = next(group for group in groups_of(model, 20) if one in group)
        assert decision.person == tuple(key(n) for n in sorted(group))
        assert decision.person == component(key(one), edges)
        if decision.changes:
            assert {key(one), key(other)} <= set(decision.affected)


def test_sixteen_documents_and_no_more() -> None:
    """A seventeenth document is refused, on whichever side of the link the crowd stands."""
    assert len(decide(Link(key(14), key(15), "test"), Neighbourhood(chain(15))).person) == MOST_DOCUMENTS
    for command in (Link(key(15), key(16), "test"), Link(key(16), key(3), "test")):
        with pytest.raises(FailedPrecondition) as refused:
            decide(command, Neighbourhood(chain(16)))
        assert refused.value.reason == "TOO_MANY_DOCUMENTS"
    with pytest.raises(FailedPrecondition):
        decide(Link(key(0), key(50), "test"), Neighbourhood(chain(9) | chain(8, 50)))


def test_linking_the_linked_in_either_order_changes_nothing() -> None:
    """A link has no direction."""
    for command in (Link(key(0), key(1), "test"), Link(key(1), key(0), "again")):
        decision = decide(command, Neighbourhood(chain(2)))
        assert (decision.changes, decision.person) == (False, (key(0), key(1)))


def test_a_link_of_two_who_are_connected_already_outlives_the_others() -> None:
    """Two documents linked on their own stay together when the third that also connected them is taken out."""
    edges = chain(3)
    decision = decide(Link(key(0), key(2), "test"), Neighbourhood(edges))
    assert decision.changes
    edges |= {edge(key(0), key(2))}
    assert decide(Unlink(key(0), key(1), "test"), Neighbourhood(edges)).person == (key(0), key(1), key(2))


def test_unlinking_affects_both_sides_and_leaves_the_first() -> None:
    """Verdicts of everyone who was in the set may change; the answer is what is left of the first document's."""
    decision = decide(Unlink(key(1), key(2), "test"), Neighbourhood(chain(4)))
    assert decision.affected == (key(0), key(1), key(2), key(3))
    assert decision.person == (key(0), key(1))


def test_unlinking_what_is_only_indirectly_linked_is_an_error() -> None:
    """Exactly one link is undone, never a guess at which."""
    with pytest.raises(NotFound) as missing:
        decide(Unlink(key(0), key(2), "test"), Neighbourhood(chain(3)))
    assert missing.value.reason == "LINK_NOT_FOUND"


@pytest.mark.parametrize(
    "command",
    [Link(key(0), key(1), "test", "r"), Unlink(key(0), key(1), "test", "r"), Switch(key(0), "210000", LOCAL, "r")],
)
def test_a_request_served_before_changes_nothing(command: Link | Unlink | Switch) -> None:
    """A late retry cannot undo what was done since, and the same id for something else is an error."""
    assert not decide(command, Neighbourhood(earlier=command)).changes
    with pytest.raises(AlreadyExists) as reused:
        decide(replace(command, person=key(9)), Neighbourhood(earlier=command))
    assert reused.value.reason == "REQUEST_ID_REUSED"


def test_a_switch_is_idle_only_when_it_is_this_documents_own_newest() -> None:
    """What another document of the person switched would be lost with its link, so it does not stand in."""
    edges = chain(2)
    own = SwitchInForce(key(0), "210000", LOCAL, 5)
    others = SwitchInForce(key(1), "210000", LOCAL, 6)
    elsewhere = SwitchInForce(key(0), "220000", NATIONAL, 9)
    command = Switch(key(0), "210000", LOCAL)
    assert not decide(command, Neighbourhood(edges, [own, elsewhere])).changes
    assert decide(command, Neighbourhood(edges, [own, others])).affected == (key(0), key(1))
    assert decide(Switch(key(0), "210000", NATIONAL), Neighbourhood(edges, [own])).changes


def test_the_newest_switch_over_all_documents_applies() -> None:
    """The key asked for comes first, and whichever document is shown, the switch is the same."""
    rows = [
        (asked, document, region, scope, sequence)
        for asked in (key(1), key(2))
        for document, region, scope, sequence in [
            (key(2), "210000", LOCAL, 7),
            (key(1), "210000", NATIONAL, 3),
            (key(1), "220000", LOCAL, 4),
            (key(0), None, None, None),
        ]
    ]
    found = people(rows)
    assert found[key(1)].keys == (key(1), key(0), key(2))
    assert found[key(2)].keys == (key(2), key(0), key(1))
    assert found[key(1)].scopes == found[key(2)].scopes == {"210000": LOCAL, "220000": LOCAL}
