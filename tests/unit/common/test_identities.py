"""A caller takes a store for the one it means by its identity, and refuses another."""

import pytest
from hutong.common.v1.identity_pb2 import FollowedFeed, StoreIdentity, StoreKind

from services.common.errors import Unavailable
from services.common.identities import HOLDERS, RECORDS, ExpectedStore, secret_fingerprint
from tests.testkit.secret import SECRET

OWN = secret_fingerprint(SECRET.encode())
OTHER = secret_fingerprint(b"another secret, long enough")


def identity(
    region: str = "430000",
    feed_id: str = "f",
    fingerprint: bytes = OWN,
    kind: StoreKind.ValueType = RECORDS,
) -> StoreIdentity:
    """Returns what a store says of itself."""
    return StoreIdentity(kind=kind, region=region, feed_id=feed_id, secret_fingerprint=fingerprint)


def test_a_fingerprint_names_a_secret_and_tells_nothing_of_it() -> None:
    """The same for the same secret, another for another; short, and no part of the secret is in it."""
    assert secret_fingerprint(SECRET.encode()) == OWN
    assert OWN != OTHER
    assert len(OWN) == 8
    assert OWN not in SECRET.encode()


@pytest.mark.parametrize(
    "met",
    [
        identity(),
        StoreIdentity(
            kind=RECORDS,
            region="430000",
            feed_id="f",
            secret_fingerprint=OWN,
            follows=[FollowedFeed(region="110000", feed_id="g")],
        ),
    ],
)
def test_the_store_that_was_meant_passes(met: StoreIdentity) -> None:
    """Whomever it follows; and whatever its feed, where none is known yet."""
    ExpectedStore(RECORDS, "430000", OWN, "f").check(met)
    ExpectedStore(RECORDS, "430000", OWN).check(met)


@pytest.mark.parametrize(
    ("met", "reason"),
    [
        (StoreIdentity(), "WRONG_STORE"),
        (identity(region="110000"), "WRONG_STORE"),
        (identity(region="nation"), "WRONG_STORE"),
        (identity(kind=HOLDERS), "WRONG_STORE"),
        # What it is comes first: another region's store under another secret is another region's.
        (identity(region="110000", fingerprint=OTHER), "WRONG_STORE"),
        (identity(fingerprint=OTHER), "OTHER_SECRET"),
        (identity(fingerprint=b""), "OTHER_SECRET"),
        (identity(feed_id="g"), "FEED_CHANGED"),
        (identity(feed_id=""), "FEED_CHANGED"),
    ],
)
def test_another_store_is_refused_with_its_reason(met: StoreIdentity, reason: str) -> None:
    """And the sentence names both, but no secret."""
    with pytest.raises(Unavailable) as caught:
        ExpectedStore(RECORDS, "430000", OWN, "f").check(met)
    assert caught.value.reason == reason
    assert "430000" in caught.value.text.en
    assert SECRET not in str(caught.value)
