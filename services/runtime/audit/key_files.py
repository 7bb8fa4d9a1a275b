"""The files of a log's signing key, each replaced as a whole."""

import os
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from services.runtime.audit.note import Verifier

KEY, NEXT_KEY, VERIFIER = "key.pem", "next-key.pem", "verifier"


def read_key(path: Path) -> Ed25519PrivateKey:
    """Returns the key in a file. Raises OSError, ValueError."""
    key = load_pem_private_key(path.read_bytes(), None)
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError(f"{path.name} is no Ed25519 key")
    return key


def write_key(path: Path, key: Ed25519PrivateKey) -> None:
    """Writes a key that its owner alone reads. Raises OSError."""
    write_whole(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def write_verifier(folder: Path, verifier: Verifier) -> None:
    """Writes the public half of a log's key. Raises OSError."""
    write_whole(folder / VERIFIER, f"{verifier.text()}\n".encode())


def write_whole(path: Path, content: bytes) -> None:
    """Puts a content in the place of a file, on the disk. Raises OSError, with the file as it was."""
    beside = path.with_name(f".{path.name}")
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
