"""The development issuer: on loopback alone, a gateway that issues its own tokens to whoever sits at the machine.

Its file holds one key or several: the first signs, tokens of all are believed. It is read again for each token that is
issued, and by whoever verifies each second, so keys change without a stop.
"""

import asyncio
import json
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from gateway.identity.issuers import Issuer, Role
from gateway.identity.key_sets import LOOK_SECONDS, KeySource
from gateway.identity.tokens import Trusted

NAME = "https://development.hutong.invalid"
AUDIENCE = "hutong-development"
KEY = "issuer.pem"
TOKEN_SECONDS = 12 * 3600
MOST_KEYS = 16
_BLOCK = re.compile(rb"-----BEGIN PRIVATE KEY-----.*?-----END PRIVATE KEY-----\s*", re.DOTALL)
_ROLES: tuple[Role, ...] = ("holder", "guardian", "venue", "laboratory", "supervisor", "operator")


class DevelopmentIssuer:
    """Issues tokens under the first of the keys that lie in a folder, readable by its owner alone; one is made there
    once."""

    def __init__(self, folder: Path) -> None:
        """Reads the keys, or makes one. Raises ValueError or OSError."""
        self._path = folder / KEY
        if not self._path.exists():
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            _write(self._path, [Ed25519PrivateKey.generate()])
        _read(self._path)

    def token(self, claims: Mapping[str, Any], *, seconds: float = TOKEN_SECONDS) -> str:
        """Returns a token with these claims that ends in so many seconds. Raises ValueError, OSError."""
        now = time.time()
        stated = {"iss": NAME, "aud": AUDIENCE, "iat": int(now), "exp": int(now + seconds), **claims}
        key = _read(self._path)[0]
        return jwt.encode(stated, key, algorithm="EdDSA", headers={"kid": _key_id(key)})

    def trusted(self) -> Trusted:
        """Returns the issuer as a gateway trusts it."""

        async def published() -> bytes:
            return await asyncio.to_thread(_key_set, self._path)

        issuer = Issuer(audience=AUDIENCE, keys="development", roles=_ROLES)
        return Trusted(issuer, KeySource(NAME, published, every=LOOK_SECONDS))

    def rotate(self) -> int:
        """Makes a key that signs from now on; tokens of those before it go on being believed. Returns how many keys
        there are. Raises ValueError, OSError."""
        return self._change(lambda keys: [Ed25519PrivateKey.generate(), *keys])

    def drop(self) -> int:
        """Removes every key but the one that signs, and with them what they have signed. Returns how many keys there
        were. Raises ValueError, OSError."""
        before = len(_read(self._path))
        self._change(lambda keys: keys[:1])
        return before

    def _change(self, change: Callable[[Sequence[Ed25519PrivateKey]], Sequence[Ed25519PrivateKey]]) -> int:
        keys = change(_read(self._path))
        if len(keys) > MOST_KEYS:
            raise ValueError(f"{self._path} holds {MOST_KEYS} keys, and no more: drop those that sign no longer")
        _write(self._path, keys)
        return len(keys)


def _write(path: Path, keys: Sequence[Ed25519PrivateKey]) -> None:
    pem = b"".join(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) for key in keys)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def _read(path: Path) -> Sequence[Ed25519PrivateKey]:
    keys = [load_pem_private_key(block[0], None) for block in _BLOCK.finditer(path.read_bytes())]
    signing = [key for key in keys if isinstance(key, Ed25519PrivateKey)]
    if not keys or len(signing) != len(keys):
        raise ValueError(f"{path} holds no key, or one that is no Ed25519 key")
    return signing


def _key_id(key: Ed25519PrivateKey) -> str:
    return sha256(key.public_key().public_bytes_raw()).hexdigest()[:16]


def _key_set(path: Path) -> bytes:
    algorithm: Any = jwt.get_algorithm_by_name("EdDSA")
    public = [
        {**json.loads(algorithm.to_jwk(key.public_key())), "kid": _key_id(key), "alg": "EdDSA"} for key in _read(path)
    ]
    return json.dumps({"keys": public}).encode()
