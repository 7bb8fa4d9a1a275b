"""The identity of a store, by which a caller tells that it reached the one that it meant.

A caller checks every answer. Of a store that is another than it meant it takes nothing: for the caller that source is
unreachable, with the reason by which an operator finds the mistake.
"""

from dataclasses import dataclass

from hutong.common.v1.identity_pb2 import StoreIdentity, StoreKind

from services.common.errors import Unavailable
from services.common.mesh_secret import parse_mesh_secret

RECORDS = StoreKind.STORE_KIND_RECORDS
HOLDERS = StoreKind.STORE_KIND_LOOKUP

WRONG_STORE = "WRONG_STORE"
"""The store keeps something else, or is another region's; or it does not say who it is."""
OTHER_SECRET = "OTHER_SECRET"
"""Its person keys were made under another secret: it knows nobody by the keys of this mesh."""
FEED_CHANGED = "FEED_CHANGED"
"""It is the region's, but another history: made anew, or one of two stores behind one name."""
REASONS = (WRONG_STORE, OTHER_SECRET, FEED_CHANGED)


def secret_fingerprint(secret: bytes) -> bytes:
    """Returns what names the version of a mesh's secret that keys are made under. Raises MeshSecretError."""
    return parse_mesh_secret(secret.decode()).fingerprint()


def secret_fingerprints(secret: bytes) -> frozenset[bytes]:
    """Returns what names each version of a mesh's secret whose keys are understood. Raises MeshSecretError."""
    return parse_mesh_secret(secret.decode()).fingerprints


@dataclass(frozen=True, slots=True)
class ExpectedStore:
    """The store that a caller means. `region` is a code, "nation", or empty for holders; its keys are made under
    one of the versions that `secret_fingerprints` name; an empty `feed_id` stands for any, where the caller has not met
    the store before."""

    kind: StoreKind.ValueType
    region: str
    secret_fingerprints: frozenset[bytes]
    feed_id: str = ""

    def check(self, identity: StoreIdentity) -> None:
        """Raises Unavailable (WRONG_STORE, OTHER_SECRET, FEED_CHANGED) unless `identity` is that of this store."""
        if (identity.kind, identity.region) != (self.kind, self.region):
            whose = f"{StoreKind.Name(identity.kind).removeprefix('STORE_KIND_')} {identity.region}".rstrip()
            meant = f"{StoreKind.Name(self.kind).removeprefix('STORE_KIND_')} {self.region}".rstrip()
            raise Unavailable(
                WRONG_STORE, f"所连的库是 {whose}，应为 {meant}", f"The store that was reached is {whose}, not {meant}"
            )
        if identity.secret_fingerprint not in self.secret_fingerprints:
            raise Unavailable(
                OTHER_SECRET,
                f"{self.region} 的人员标识以另一密钥生成",
                f"The person keys of {self.region} were made under another secret",
            )
        if self.feed_id and identity.feed_id != self.feed_id:
            raise Unavailable(
                FEED_CHANGED,
                f"{self.region} 的变更流已是另一个：{identity.feed_id}，应为 {self.feed_id}",
                f"The feed of {self.region} is another: {identity.feed_id}, not {self.feed_id}",
            )
