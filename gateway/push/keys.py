"""The key that push services know the gateway by (VAPID, RFC 8292): P-256, in a file."""

import os
from pathlib import Path
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from py_vapid import Vapid02

from services.common.instants import SECOND, Instant

KEY = "push.pem"
TOKEN_SECONDS = 12 * 3600
"""How long a signed token counts; a push service refuses one of more than a day."""
RENEW_SECONDS = 3600
"""How long before its end a token is signed anew."""


class PushKey:
    """Signs for the push services. `contact` is where their operators reach the gateway's: mailto: or https:."""

    def __init__(self, private: ec.EllipticCurvePrivateKey, contact: str) -> None:
        self._vapid = Vapid02(private)
        self._contact = contact
        self.public_bytes = private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        """The public key, uncompressed: what browsers subscribe with."""
        self._tokens: dict[str, tuple[Instant, str]] = {}

    def authorization(self, endpoint: str, now: Instant) -> str:
        """Returns the header that proves to the push service of an endpoint who sends."""
        parts = urlsplit(endpoint)
        origin = f"{parts.scheme}://{parts.netloc}"
        ends, header = self._tokens.get(origin, (Instant(0), ""))
        if ends - RENEW_SECONDS * SECOND <= now:
            ends = Instant(now + TOKEN_SECONDS * SECOND)
            claims = {"aud": origin, "exp": ends // SECOND, "sub": self._contact}
            header = str(self._vapid.sign(claims)["Authorization"])
            self._tokens[origin] = ends, header
        return header


def read_push_key(path: Path, contact: str) -> PushKey:
    """Returns the key of a PEM file. Raises OSError, and ValueError for what is no P-256 key."""
    private = load_pem_private_key(path.read_bytes(), None)
    if not isinstance(private, ec.EllipticCurvePrivateKey) or not isinstance(private.curve, ec.SECP256R1):
        raise ValueError(f"{path} holds what is no P-256 key")
    return PushKey(private, contact)


def kept_push_key(folder: Path) -> Path:
    """Returns the file of the key of a folder, where one that its owner alone reads is made once. Raises OSError."""
    path = folder / KEY
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        private = ec.generate_private_key(ec.SECP256R1())
        beside = folder / f".{KEY}.{os.getpid()}"
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        beside.replace(path)
    return path
