"""Copies an audit trail while its process writes to it: every line up to its latest checkpoint, which proves them.

The key is not copied: a copy can be read, searched, proven and held against what witnesses have signed, and nobody can
write on in its name. A process that lost its trail begins another; the copy is kept beside it.
"""

import os
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from services.runtime.audit.cosigning import COSIGNED, WITNESSES
from services.runtime.audit.handover import HANDOVERS
from services.runtime.audit.key_files import VERIFIER
from services.runtime.audit.note import read_checkpoint
from services.runtime.audit.opening import keeper_of
from services.runtime.audit.segments import CHECKPOINT, AuditError, read_header, segments
from services.runtime.audit.trail import Verified, verify

PARTIAL = ".partial"
"""The end of a file's name until it is whole."""

CHUNK_BYTES = 1 << 20


def copy_trail(folder: Path, backup: Path) -> Verified:
    """Brings a backup up to the trail's latest checkpoint, and returns what the backup proves, having read all of it.
    What is in the backup already is not copied again, and never replaced by less.

    Raises AuditError for a backup of another trail, of more lines than this one has, or of a trail that was changed;
    NoteError, OSError.
    """
    keeper = keeper_of(folder)
    # The checkpoint first: lines that come later are for the next copy.
    note = _note(folder / CHECKPOINT)
    size = read_checkpoint(note, keeper).size
    backup.mkdir(parents=True, exist_ok=True, mode=0o700)
    if (backup / VERIFIER).exists() and keeper_of(backup) not in (keeper, *keeper.former):
        raise AuditError(f"{backup}: is the backup of another trail, {keeper_of(backup).name}")
    if (backup / CHECKPOINT).exists():
        copied = read_checkpoint(_note(backup / CHECKPOINT), keeper).size
        if copied > size:
            raise AuditError(f"{folder}: has {size} lines, and {backup} already has {copied}")
    if keeper.former:
        # Before the key that they lead to: a backup that ends here is still one of the key before.
        _write(backup / HANDOVERS, [(folder / HANDOVERS).read_bytes()])
    _write(backup / VERIFIER, [f"{keeper.text()}\n".encode()])
    # The last segment of a backup may have grown since; those that are followed by another are whole.
    whole = {path.name for path in segments(backup)[:-1]}
    for path in segments(folder):
        if int(path.stem) < size and path.name not in whole:
            _require_longer(path, backup / path.name)
            _write(backup / path.name, _lines(path, size))
    _write(backup / CHECKPOINT, [note.encode()])
    for path in sorted((folder / WITNESSES).glob("[!.]*")):
        # Before what was signed with it.
        (backup / WITNESSES).mkdir(exist_ok=True, mode=0o700)
        _write(backup / WITNESSES / path.name, [path.read_bytes()])
    for path in sorted((folder / COSIGNED).glob("[!.]*")):
        cosigned = path.read_text(encoding="utf-8")
        if read_checkpoint(cosigned, keeper).size <= size:
            (backup / COSIGNED).mkdir(exist_ok=True, mode=0o700)
            _write(backup / COSIGNED / path.name, [cosigned.encode()])
    return verify(backup, keeper)


def _require_longer(path: Path, copied: Path) -> None:
    """Raises AuditError unless a segment goes on from what was copied of it."""
    if not copied.exists():
        return
    with path.open("rb") as file, copied.open("rb") as before:
        while chunk := before.read(CHUNK_BYTES):
            if file.read(len(chunk)) != chunk:
                raise AuditError(f"{path}: does not go on from {copied}: it was cut or changed since")


def _lines(path: Path, size: int) -> Iterator[bytes]:
    """Yields a segment as it is up to the trail's line `size`, excluded."""
    first = read_header(path).first
    with path.open("rb") as file:
        yield file.readline()
        yield from islice(file, size - first)


def _write(path: Path, content: Iterable[bytes]) -> None:
    partial = path.with_name(path.name + PARTIAL)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.writelines(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def _note(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise AuditError(f"{path}: there is no checkpoint: {error.strerror}") from None
