"""The owner of a store of links and switches: the mesh under whose secret its person keys were made."""

from collections.abc import Callable, Collection
from typing import NamedTuple

from services.runtime.storage.schema import SchemaError


class Owner(NamedTuple):
    """The fingerprint of the version of the mesh's secret that is noted in a new store, and those of all that are
    understood by now."""

    secret_fingerprint: bytes
    understood: Callable[[], Collection[bytes]] = tuple

    def require(self, noted: bytes) -> None:
        """Raises SchemaError unless a store's keys were made under a version that is understood."""
        if noted != self.secret_fingerprint and noted not in self.understood():
            raise SchemaError(
                "库中的人员标识以另一密钥（HUTONG_MESH_SECRET）生成，换了密钥就再也查不到任何人的关联 / "
                "the person keys in this store were made under another secret (HUTONG_MESH_SECRET): "
                "under this one nobody's links would be found"
            )
