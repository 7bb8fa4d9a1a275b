"""The development issuer: on loopback alone, a gateway that issues its own tokens to whoever sits at the machine."""

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from gateway.identity.issuers import Issuer, Role
from gateway.identity.key_sets import KeySource
from gateway.identity.tokens import Trusted

NAME = "https://development.hutong.invalid"
AUDIENCE = "hutong-development"
KEY = "issuer.pem"
TOKEN_SECONDS = 12 * 3600
_ROLES: tuple[Role, ...] = ("holder", "guardian", "venue", "laboratory", "supervisor", "operator")


class DevelopmentIssuer:
    """Issues tokens under a key that lies in a folder, readable by its owner alone, and is made there once."""

    def __init__(self, folder: Path) -> None:
        """Reads or makes the key. Raises ValueError or OSError."""
        self._key = _kept_key(folder)
        algorithm: Any = jwt.get_algorithm_by_name("EdDSA")
        self._public = json.loads(algorithm.to_jwk(self._key.public_key()))

    def token(self, claims: Mapping[str, Any], *, seconds: float = TOKEN_SECONDS) -> str:
        """Returns a token with these claims that ends in so many seconds."""
        now = time.time()
        stated = {"iss": NAME, "aud": AUDIENCE, "iat": int(now), "exp": int(now + seconds), **claims}
        return jwt.encode(stated, self._key, algorithm="EdDSA", headers={"kid": "development"})

    def trusted(self) -> Trusted:
        """Returns the issuer as a gateway trusts it."""
        content = json.dumps({"keys": [{**self._public, "kid": "development", "alg": "EdDSA"}]}).encode()

        async def keys() -> bytes:
            return content

        issuer = Issuer(audience=AUDIENCE, keys="development", roles=_ROLES)
        return Trusted(issuer, KeySource(NAME, keys, every=3600.0))


def _kept_key(folder: Path) -> Ed25519PrivateKey:
    path = folder / KEY
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        beside = folder / f".{KEY}.{os.getpid()}"
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(pem)
        beside.replace(path)
    key = load_pem_private_key(path.read_bytes(), None)
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError(f"{path} is no Ed25519 key")
    return key
