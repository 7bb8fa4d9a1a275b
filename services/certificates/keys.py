"""Public keys that verify: P-256, RSA from 2,048 bits, Ed25519. The key decides the algorithm, never a header."""

from collections.abc import Iterable
from typing import Generic, Protocol, TypeVar

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

KEY_ID_BYTES = 8
SHORTEST_RSA = 2_048

PublicKey = EllipticCurvePublicKey | RSAPublicKey | Ed25519PublicKey


class KeyUnusable(ValueError):
    """The refusal of a key that may not sign, or of a certificate that cannot be read."""


class VerifyingKey(Protocol):
    """A public key with the 8 bytes that name it."""

    @property
    def key_id(self) -> bytes:
        """Returns the key's identifier."""
        ...

    @property
    def public_key(self) -> PublicKey:
        """Returns the key."""
        ...


def usable(key: PublicKeyTypes) -> PublicKey:
    """Returns a key of a kind that may sign. Raises KeyUnusable."""
    if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
        return key
    if isinstance(key, RSAPublicKey) and key.key_size >= SHORTEST_RSA:
        return key
    if isinstance(key, Ed25519PublicKey):
        return key
    raise KeyUnusable(f"a signer's key is P-256, RSA of at least {SHORTEST_RSA} bits, or Ed25519")


def algorithm(key: PublicKey) -> str:
    """Returns the COSE algorithm of a key by its name (RFC 9053)."""
    if isinstance(key, EllipticCurvePublicKey):
        return "ES256"
    return "PS256" if isinstance(key, RSAPublicKey) else "EdDSA"


KeyT = TypeVar("KeyT", bound=VerifyingKey)


class KeyRing(Generic[KeyT]):
    """The keys that are believed, by their identifiers."""

    def __init__(self, keys: Iterable[KeyT]) -> None:
        self._by_id: dict[bytes, list[KeyT]] = {}
        for key in keys:
            self._by_id.setdefault(key.key_id, []).append(key)

    def __len__(self) -> int:
        return sum(map(len, self._by_id.values()))

    def named(self, key_id: bytes) -> list[KeyT]:
        """Returns the keys with an identifier; 8 bytes can name more than one."""
        return self._by_id.get(key_id, [])
