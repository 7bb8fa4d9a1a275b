"""The identities that the services of a test's mesh say."""

from collections.abc import Mapping

from hutong.common.v1.identity_pb2 import FollowedFeed, StoreIdentity
from hutong.verdict.v1.verdict_service_pb2 import Judge

from gateway.mesh_identity import MeshIdentity
from services.common.identities import HOLDERS, RECORDS, ExpectedStore, secret_fingerprint
from tests.testkit.secret import SECRET

FINGERPRINT = secret_fingerprint(SECRET.encode())
LOOKUP = ExpectedStore(HOLDERS, "", FINGERPRINT)
"""Lookup, as a service of the mesh means it."""


def lookup_identity(feeds: Mapping[str, str] | None = None) -> StoreIdentity:
    """Returns the identity that lookup says, with the feeds of the stores it asks."""
    identity = LOOKUP.message()
    identity.feed_id = "holders-1"
    identity.follows.extend(FollowedFeed(region=source, feed_id=feed) for source, feed in (feeds or {}).items())
    return identity


NATION_FEED = "history-1"
FOLLOWED = frozenset({f"nation/{NATION_FEED}"})
"""The feeds that a nation's store without regions tells of, as the gateway's cache names them."""


def judge() -> Judge:
    """The judge of verdicts that rest on the nation's store alone."""
    return Judge(evidence=lookup_identity({"nation": NATION_FEED}))


def gateway_mesh() -> MeshIdentity:
    """The mesh that a gateway of the tests belongs to."""
    return MeshIdentity(FINGERPRINT)


def records_identity(region: str) -> StoreIdentity:
    """Returns the identity of a region's store, whatever its feed."""
    return ExpectedStore(RECORDS, region, FINGERPRINT).message()
