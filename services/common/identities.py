"""The identity of a store, by which a caller tells that it reached the one that it meant.

A caller checks every answer. Of a store that is another than it meant it takes nothing: for the caller that source is
unreachable, with the reason by which an operator finds the mistake.
"""

from dataclasses import dataclass

from hutong.common.v1.identity_pb2 import StoreIdentity, StoreKind

from services.common.documents import may_hide_number
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
_LONGEST_SHOWN = 64
REASONS = (WRONG_STORE, OTHER_SECRET, FEED_CHANGED)


def secret_fingerprint(secret: bytes) -> bytes:
    """Returns what names the version of a mesh's secret that keys are made under, without telling it. Raises
    MeshSecretError."""
    return parse_mesh_secret(secret.decode()).fingerprint()


def _named(kind: int, region: str) -> str:
    """Returns a store's kind and region for people. Who is called may not have said what there is."""
    name = StoreKind.Name(kind).removeprefix("STORE_KIND_") if kind in StoreKind.values() else str(kind)  # type: ignore[arg-type]  # from the enum
    return f"{name} {shown_text(region)}".rstrip()


def shown_text(text: str) -> str:
    """Returns a text that came in with a request, unless a document's number stands in it: no error repeats one."""
    return "…" if len(text) > _LONGEST_SHOWN or may_hide_number(text) else text


@dataclass(frozen=True, slots=True)
class ExpectedStore:
    """The store that a caller means. `region` is a code, "nation", or empty for holders; an empty `feed_id` stands for
    any, where the caller has not met the store before."""

    kind: StoreKind.ValueType
    region: str
    secret_fingerprint: bytes
    feed_id: str = ""

    def message(self) -> StoreIdentity:
        """Returns what a request says of the store that is meant."""
        return StoreIdentity(
            kind=self.kind,
            region=self.region,
            feed_id=self.feed_id,
            secret_fingerprint=self.secret_fingerprint,
        )

    def check(self, identity: StoreIdentity) -> None:
        """Raises Unavailable (WRONG_STORE, OTHER_SECRET, FEED_CHANGED) unless `identity` is that of this store."""
        if (identity.kind, identity.region) != (self.kind, self.region):
            whose, meant = _named(identity.kind, identity.region), _named(self.kind, self.region)
            raise Unavailable(
                WRONG_STORE,
                f"所连的库是 {whose}，应为 {meant}",
                f"The store that was reached is {whose}, not {meant}",
                {"store": whose, "meant": meant},
            )
        if identity.secret_fingerprint != self.secret_fingerprint:
            whose = _named(self.kind, self.region)
            raise Unavailable(
                OTHER_SECRET,
                f"{whose} 的人员标识以另一密钥生成",
                f"The person keys of {whose} were made under another secret",
                {"store": whose},
            )
        if self.feed_id and identity.feed_id != self.feed_id:
            meant = shown_text(self.feed_id)
            raise Unavailable(
                FEED_CHANGED,
                f"{self.region} 的变更流已是另一个：{identity.feed_id}，应为 {meant}",
                f"The feed of {self.region} is another: {identity.feed_id}, not {meant}",
                {"feed_id": identity.feed_id, "meant": meant},
            )


def require_meant(meant: StoreIdentity, own: StoreIdentity) -> None:
    """Raises Unavailable (WRONG_STORE, OTHER_SECRET, FEED_CHANGED) where a request means another store than `own`; what
    it leaves empty is not compared."""
    ExpectedStore(
        meant.kind or own.kind,
        meant.region or own.region,
        meant.secret_fingerprint or own.secret_fingerprint,
        meant.feed_id,
    ).check(own)
