"""The keys of passes: a pass key (P-256) in a file, and from it, by HKDF, the key of each region.

The pass key itself signs bundles alone, and a region's key passes of that region alone: whoever reads a pass learns
from its key whose it is.
"""

import logging
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from services.common.regions import divisions

log = logging.getLogger("hutong.passes")

KEY = "pass.pem"
LOOK_SECONDS = 2.0
"""How often the file is looked at, at most."""
_BLOCK = re.compile(rb"-----BEGIN ((?:[A-Z]+ )?PRIVATE KEY)-----.*?-----END \1-----\s*", re.DOTALL)
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # FIPS 186-5: of P-256
_SEED_BYTES = 48
"""Longer than the order by 128 bits, so that no key is likelier than another (FIPS 186-5, A.2.1)."""


@dataclass(frozen=True)
class SigningKey:
    """A private key of P-256."""

    private: ec.EllipticCurvePrivateKey

    @cached_property
    def pem(self) -> bytes:
        """Returns the key as PEM (PKCS #8), not encrypted."""
        return self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    @cached_property
    def public_key(self) -> ec.EllipticCurvePublicKey:
        """Returns the public key."""
        return self.private.public_key()

    @cached_property
    def public_bytes(self) -> bytes:
        """Returns the public key as SubjectPublicKeyInfo in DER."""
        return self.public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


class PassKeys:
    """The root, which signs bundles, and the keys of the regions, which sign passes."""

    def __init__(self, private: ec.EllipticCurvePrivateKey) -> None:
        self.root = SigningKey(private)
        secret = private.private_numbers().private_value.to_bytes(32, "big")
        self.regions: Mapping[str, SigningKey] = {region: _derived(secret, region) for region in divisions()}


def _derived(secret: bytes, region: str) -> SigningKey:
    seed = HKDF(SHA256(), _SEED_BYTES, salt=None, info=f"hutong pass {region}".encode()).derive(secret)
    return SigningKey(ec.derive_private_key(int.from_bytes(seed, "big") % (_ORDER - 1) + 1, ec.SECP256R1()))


class PassKeyFile:
    """The pass keys of a file that is read again when it changes: the first signs, the others are published with it,
    the next one before it signs and the last one until its passes have ended. All replicas have the same file."""

    def __init__(self, path: Path, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Reads the file. Raises OSError, and ValueError for what are no P-256 keys."""
        self._path = path
        self._monotonic = monotonic
        self._keys = read_pass_keys(path)
        self._seen = _stamp(path)
        self._looked = monotonic()

    @property
    def current(self) -> Sequence[PassKeys]:
        """Returns the keys that the file has, or had when it could be read last."""
        now = self._monotonic()
        if now - self._looked >= LOOK_SECONDS:
            self._looked = now
            try:
                seen = _stamp(self._path)
                if seen != self._seen:
                    self._keys, self._seen = read_pass_keys(self._path), seen
                    log.info("pass keys renewed", extra={"keys": len(self._keys)})
            except (OSError, ValueError) as error:
                log.warning("pass keys not renewed", extra={"error": str(error)})
        return self._keys


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_mtime_ns, status.st_ino


def read_pass_keys(path: Path) -> Sequence[PassKeys]:
    """Returns the keys of a file in PEM, the one that signs first. Raises OSError, and ValueError for what are no P-256
    keys, or two of which are the same."""
    keys = []
    for block in _BLOCK.finditer(path.read_bytes()):
        key = load_pem_private_key(block[0], None)
        if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
            raise ValueError(f"{path} holds what is no P-256 key")
        keys.append(PassKeys(key))
    if not keys:
        raise ValueError(f"{path} holds no key")
    if len({one.root.public_bytes for one in keys}) != len(keys):
        raise ValueError(f"{path} holds a key twice")
    return keys


def new_pass_keys() -> PassKeys:
    """Returns the keys of a new pass key, made at random."""
    return PassKeys(ec.generate_private_key(ec.SECP256R1()))


def kept_pass_keys(folder: Path) -> Path:
    """Returns the file of the keys of a folder, where a key that its owner alone reads is made once. Raises
    OSError."""
    path = folder / KEY
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        beside = folder / f".{KEY}.{os.getpid()}"
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(new_pass_keys().root.pem)
        beside.replace(path)
    return path
