"""The owner of a store whose people stand under keys: the mesh under whose secret the keys were made. Its fingerprint
is in the one row of the table `STORE_owner`, which the first process that opens the store writes."""

from typing import NamedTuple

from services.common.errors import Text
from services.runtime.storage.schema import SchemaError


class Owner(NamedTuple):
    """The fingerprint of a mesh's secret, the store's name in its schema, and what a store of another secret would be
    good for."""

    secret_fingerprint: bytes
    store: str
    otherwise: Text

    @property
    def table(self) -> str:
        """The table that has the fingerprint."""
        return f"{self.store}_owner"

    def require(self, noted: bytes) -> None:
        """Raises SchemaError unless a store's keys were made under this secret."""
        if noted != self.secret_fingerprint:
            raise SchemaError(
                f"库中的人员标识以另一密钥（HUTONG_MESH_SECRET）生成，{self.otherwise.zh} / "
                "the person keys in this store were made under another secret (HUTONG_MESH_SECRET): "
                f"{self.otherwise.en}"
            )
