"""A process's audit log, opened from its folder; key and name are made with it."""

import os
from pathlib import Path
from secrets import token_hex

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from services.runtime.audit.log import AuditLog
from services.runtime.audit.note import SIGNED, NoteError, Signer, Verifier, read_verifier
from services.runtime.audit.segments import AuditError

KEY, VERIFIER = "key.pem", "verifier"


def open_log(folder: Path, service: str) -> AuditLog:
    """Returns the log that a service keeps in a folder; one that is not there is begun, with a key and a name of its
    own. Raises AuditError."""
    try:
        return AuditLog(folder, signer_in(folder, f"hutong/{service}/{token_hex(4)}", SIGNED))
    except (OSError, ValueError, NoteError) as error:
        raise AuditError(f"{folder}: {error}") from None


def signer_in(folder: Path, name: str, kind: int) -> Signer:
    """Returns who signs with the key in a folder; a key that is not there is made, under this name. Raises
    AuditError."""
    try:
        return _signer(folder, name, kind)
    except (OSError, ValueError, NoteError) as error:
        raise AuditError(f"{folder}: {error}") from None


def keeper_of(folder: Path) -> Verifier:
    """Returns the public key of the log in a folder. Raises AuditError."""
    try:
        return read_verifier((folder / VERIFIER).read_text(encoding="utf-8"))
    except (OSError, NoteError) as error:
        raise AuditError(f"{folder}: {error}") from None


def _signer(folder: Path, name: str, kind: int) -> Signer:
    if (folder / KEY).exists():
        key = load_pem_private_key((folder / KEY).read_bytes(), None)
        if not isinstance(key, Ed25519PrivateKey):
            raise ValueError(f"{KEY} is no Ed25519 key")
        signer = Signer(keeper_of(folder).name, key, kind)
        if signer.verifier() != keeper_of(folder):
            raise ValueError(f"{KEY} and {VERIFIER} are of two keys")
        return signer
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    signer = Signer(name, Ed25519PrivateKey.generate(), kind)
    pem = signer.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    handle = os.open(folder / f".{KEY}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(pem)
        os.fsync(file.fileno())
    (folder / VERIFIER).write_text(signer.verifier().text() + "\n", encoding="utf-8")
    # The key comes last: with it the log is begun.
    (folder / f".{KEY}").replace(folder / KEY)
    return signer
