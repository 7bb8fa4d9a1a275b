"""The keys of passes: one pass key (P-256) in a file, and from it, by HKDF, the key of each region.

The pass key itself signs bundles alone, and a region's key passes of that region alone: whoever reads a pass learns
from its key whose it is.
"""

import os
from collections.abc import Mapping
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

KEY = "pass.pem"
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


def read_pass_keys(path: Path) -> PassKeys:
    """Returns the keys of a file in PEM. Raises OSError, and ValueError for what is no P-256 key."""
    key = load_pem_private_key(path.read_bytes(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError(f"{path} is no P-256 key")
    return PassKeys(key)


def kept_pass_keys(folder: Path) -> PassKeys:
    """Returns the keys of a folder, where a key that its owner alone reads is made once. Raises OSError, ValueError."""
    path = folder / KEY
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        beside = folder / f".{KEY}.{os.getpid()}"
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(SigningKey(ec.generate_private_key(ec.SECP256R1())).pem)
        beside.replace(path)
    return read_pass_keys(path)
