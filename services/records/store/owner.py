"""The owner of a store: noted in it when it is made, and compared whenever it is opened."""

from collections.abc import Callable, Collection
from typing import NamedTuple

from services.common.regions import NATION
from services.runtime.storage.schema import SchemaError


class Owner(NamedTuple):
    """The region, or "nation", whose records a store keeps, and the fingerprint of the secret of its person keys; and
    the fingerprints of other versions of it that are understood by now."""

    region: str
    secret_fingerprint: bytes
    understood: Callable[[], Collection[bytes]] = tuple

    def require(self, noted: "Owner") -> None:
        """Raises SchemaError unless a store is noted as this owner's."""
        if noted.region != self.region:
            raise SchemaError(
                f"这是 {noted.region} 的记录库，不是 {self.region} 的 / "
                f"this store belongs to {noted.region}, not to {self.region}"
            )
        if noted.secret_fingerprint != self.secret_fingerprint and noted.secret_fingerprint not in self.understood():
            raise SchemaError(
                "库中的人员标识以另一密钥（HUTONG_MESH_SECRET）生成，换了密钥就再也查不到任何人 / "
                "the person keys in this store were made under another secret (HUTONG_MESH_SECRET): "
                "under this one nobody would be found"
            )

    def require_records_of(self, other_region: str | None) -> None:
        """Raises SchemaError where a store that nobody noted has records of a region that is not this owner's;
        `other_region` is one such, or None."""
        if other_region is not None and self.region != NATION:
            raise SchemaError(
                f"库中有 {other_region} 的记录，不是 {self.region} 的库 / "
                f"there are records of {other_region} in this store: it is not that of {self.region}"
            )
