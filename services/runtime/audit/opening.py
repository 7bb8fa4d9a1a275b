"""A process's audit log, opened from its folder; key and name are made with it."""

from pathlib import Path
from secrets import token_hex

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.runtime.audit.handover import keeper_after, read_handover, read_notes
from services.runtime.audit.key_files import KEY, NEXT_KEY, VERIFIER, read_key, write_key, write_verifier
from services.runtime.audit.log import AuditLog
from services.runtime.audit.note import SIGNED, NoteError, Signer, Verifier, read_verifier
from services.runtime.audit.segments import AuditError


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
    """Returns the public key of the log in a folder, with those before it. Raises AuditError."""
    try:
        return keeper_after(_verifier_in(folder), read_notes(folder))
    except (OSError, NoteError) as error:
        raise AuditError(f"{folder}: {error}") from None


def _verifier_in(folder: Path) -> Verifier:
    return read_verifier((folder / VERIFIER).read_text(encoding="utf-8"))


def prepare_next_key(folder: Path) -> None:
    """Makes the key that the log in a folder is handed over to with its next checkpoint, by the process that keeps it.
    Raises AuditError where there is one already, or no log."""
    keeper_of(folder)
    if (folder / NEXT_KEY).exists():
        raise AuditError(f"{folder}: the next key waits already for the process that keeps the log")
    try:
        write_key(folder / NEXT_KEY, Ed25519PrivateKey.generate())
    except OSError as error:
        raise AuditError(f"{folder}: {error}") from None


def _signer(folder: Path, name: str, kind: int) -> Signer:
    if (folder / KEY).exists():
        verifier = _verifier_in(folder)
        signer = Signer(verifier.name, read_key(folder / KEY), kind)
        notes = read_notes(folder)
        if notes and signer.verifier() == read_handover(notes[-1]).next != verifier:
            # It was handed over, and ended before that was written here.
            write_verifier(folder, signer.verifier())
            verifier = signer.verifier()
        if signer.verifier() != verifier:
            raise ValueError(f"{KEY} and {VERIFIER} are of two keys")
        return signer
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    signer = Signer(name, Ed25519PrivateKey.generate(), kind)
    write_verifier(folder, signer.verifier())
    # The key comes last: with it the log is begun.
    write_key(folder / KEY, signer.key)
    return signer
