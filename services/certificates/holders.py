"""The holder of a certificate, sealed: the mesh can tell whose certificate it is, and nobody else can.

A certificate's schema names a person by name and date of birth alone, which many share. So the issuing region adds the
person key, encrypted under a key that comes from the root of the mesh's secret (AES-SIV, RFC 5297), bound to the
certificate's identifier: two certificates of one person cannot be told to be one person's.
"""

import hmac

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from services.common.documents import PERSON_KEY_BYTES, PersonKeys
from services.common.errors import InvalidArgument
from services.common.mesh_secret import parse_mesh_secret


class HolderSeal:
    """Seals person keys into certificates, and opens them."""

    def __init__(self, secret: str, keys: PersonKeys | None = None) -> None:
        """`secret` is the mesh's, as `parse_mesh_secret` reads it; `keys` are those of the process, which are renewed
        with it. Raises MeshSecretError."""
        root = parse_mesh_secret(secret).root
        self._cipher = AESSIV(hmac.digest(root, b"hutong certificate holder", "sha512"))
        self._keys = keys or PersonKeys(secret.encode())

    def seal(self, person: bytes, identifier: str) -> bytes:
        """Returns a person key as the certificate with this identifier (UVCI) carries it."""
        return self._cipher.encrypt(self._keys.told(person), [identifier.encode()])

    def open(self, sealed: bytes, identifier: str) -> bytes | None:
        """Returns the person key, under the version of the secret that is current here; None where it was not sealed by
        this mesh for this certificate, or under a version that is gone."""
        try:
            person = self._cipher.decrypt(sealed, [identifier.encode()])
            return self._keys.own(person) if len(person) == PERSON_KEY_BYTES else None
        except (InvalidTag, ValueError, InvalidArgument):
            return None
