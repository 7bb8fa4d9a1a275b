"""The owner of a store of supervision: the mesh under whose secret its person keys were made."""

from services.runtime.storage.schema import SchemaError


def require_secret(noted: bytes, own: bytes) -> None:
    """Raises SchemaError unless a store's keys were made under the secret with this fingerprint."""
    if noted != own:
        raise SchemaError(
            "库中的人员标识以另一密钥（HUTONG_MESH_SECRET）生成，其中的拒认无法重开 / "
            "the person keys in this store were made under another secret (HUTONG_MESH_SECRET): "
            "no refusal in it could be opened again"
        )
