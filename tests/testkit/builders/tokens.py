"""Tokens that tests show: of the development issuer, and of an issuer of a test's own."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from gateway.identity.development import DevelopmentIssuer
from tests.testkit.fakes.mesh import DEVELOPMENT, DOCUMENT

NAME = "https://id.test.example"
AUDIENCE = "hutong-gateway"
HOLDER = {"role": "holder", "document": DOCUMENT}


def development(folder: str | Path = DEVELOPMENT.name, **claims: Any) -> dict[str, str]:
    """Returns the header with a token of the development issuer; the holder of the tests' document unless told
    otherwise."""
    return {"authorization": f"Bearer {DevelopmentIssuer(Path(folder)).token(claims or HOLDER)}"}


class Keys:
    """A pair of keys for one algorithm of JOSE, under a key id."""

    def __init__(self, algorithm: str = "ES256", key_id: str = "one") -> None:
        self.algorithm = algorithm
        self.key_id = key_id
        self.private: Any = {
            "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
            "EdDSA": ed25519.Ed25519PrivateKey.generate,
            "PS256": lambda: rsa.generate_private_key(65537, 2048),
            "RS256": lambda: rsa.generate_private_key(65537, 2048),
        }[algorithm]()

    def public(self) -> dict[str, Any]:
        """Returns the public key as a JWKS lists it."""
        algorithm: Any = jwt.get_algorithm_by_name(self.algorithm)
        described: dict[str, Any] = json.loads(algorithm.to_jwk(self.private.public_key()))
        return {**described, "kid": self.key_id, "alg": self.algorithm, "use": "sig"}

    def sign(self, claims: Mapping[str, Any] | None = None, header: Mapping[str, Any] | None = None) -> str:
        """Returns a token of the holder of the tests' document, with these claims and header fields besides; a claim
        that is None is left out."""
        now = int(time.time())
        stated = {"iss": NAME, "aud": AUDIENCE, "sub": "someone", "iat": now, "exp": now + 600, **HOLDER}
        stated |= claims or {}
        stated = {name: value for name, value in stated.items() if value is not None}
        return jwt.encode(stated, self.private, self.algorithm, headers={"kid": self.key_id, **(header or {})})


def jwks(*keys: Keys) -> bytes:
    """Returns the JWKS of these keys."""
    return json.dumps({"keys": [one.public() for one in keys]}).encode()


def issuers_file(folder: Path, keys: str = "keys.json", **more: Any) -> Path:
    """Writes the list of the one issuer of a test; `keys` is where its JWKS is."""
    entry = {"audience": AUDIENCE, "keys": keys, "roles": ["holder", "guardian", "venue", "supervisor"], **more}
    path = folder / "issuers.yaml"
    path.write_text(json.dumps({"issuers": {NAME: entry}}), encoding="utf-8")
    return path
