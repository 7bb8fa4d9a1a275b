"""A nation's store that was made anew is found without a restart; one of two behind one name is not taken for it."""

from collections.abc import Callable

import pytest
from hutong.common.v1.identity_pb2 import FollowedFeed, StoreIdentity

from services.common.errors import Unavailable
from services.common.identities import RECORDS
from services.lookup.evidence.identities import SETTLED_SECONDS, SourceIdentities

SECRET = b"secret.."
HUNAN = "430000"
Identify = Callable[..., StoreIdentity]


def nation(feed_id: str, *, hunan: str = "hunan") -> StoreIdentity:
    """A store of the nation that follows Hunan by this feed."""
    follows = [FollowedFeed(region=HUNAN, feed_id=hunan)]
    return StoreIdentity(kind=RECORDS, region="nation", feed_id=feed_id, secret_fingerprint=SECRET, follows=follows)


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def met(clock: Clock, **feeds: str) -> SourceIdentities:
    """The identities after the nation's store `old` was met."""
    identities = SourceIdentities(["nation", HUNAN], SECRET, feeds, clock)
    identities.check("nation", nation("old"))
    return identities


def answers(identities: SourceIdentities, identity: StoreIdentity, behind: tuple[str, ...] = ()) -> bool:
    """Tells whether an answer is used."""
    try:
        identities.check("nation", identity, behind)
    except Unavailable as error:
        return error.reason != "FEED_CHANGED"
    return True


def test_a_nation_made_anew_is_found_once_it_alone_has_answered_for_a_while() -> None:
    """It is used then, and the former one is the other."""
    clock = Clock()
    identities = met(clock)
    assert not answers(identities, nation("new"))
    clock.now += SETTLED_SECONDS - 1
    assert not answers(identities, nation("new"))
    clock.now += 1
    assert answers(identities, nation("new"))
    assert {"nation": "new", HUNAN: "hunan"} == identities.feeds()
    assert not answers(identities, nation("old"))


def test_two_behind_one_name_are_not_one_made_anew() -> None:
    """The former one goes on answering in between."""
    clock = Clock()
    identities = met(clock)
    for _ in range(10):
        assert not answers(identities, nation("new"))
        clock.now += SETTLED_SECONDS / 2
        assert answers(identities, nation("old"))
        clock.now += SETTLED_SECONDS / 2


@pytest.mark.parametrize("lacking", ["behind", "another feed", "no feed"])
def test_a_nation_that_has_not_heard_of_every_region_is_not_taken(lacking: str) -> None:
    """It would answer for people of whom it knows nothing."""
    clock = Clock()
    identities = met(clock)
    identity = nation("new", hunan={"behind": "hunan", "another feed": "other", "no feed": ""}[lacking])
    for _ in range(4):
        assert not answers(identities, identity, (HUNAN,) if lacking == "behind" else ())
        clock.now += SETTLED_SECONDS
    clock.now += SETTLED_SECONDS
    assert not answers(identities, nation("new"))


def test_a_nation_that_the_directory_names_is_not_replaced() -> None:
    """There, a new feed in the list is the word that is needed."""
    clock = Clock()
    identities = met(clock, nation="old")
    for _ in range(4):
        assert not answers(identities, nation("new"))
        clock.now += SETTLED_SECONDS
