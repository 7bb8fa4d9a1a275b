"""The owner of a store of push subscriptions: the mesh under whose secret its person keys were made."""

from services.runtime.storage.schema import SchemaError


def require_secret(noted: bytes, own: bytes) -> None:
    """Raises SchemaError unless a store's keys were made under the secret with this fingerprint."""
    if noted != own:
        raise SchemaError(
            "库中的人员标识以另一密钥（HUTONG_MESH_SECRET）生成，无人会收到提醒 / "
            "the person keys in this store were made under another secret (HUTONG_MESH_SECRET): nobody would be told"
        )
