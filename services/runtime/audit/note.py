"""Signed notes and checkpoints, as C2SP has them (c2sp.org/signed-note, /tlog-checkpoint, /tlog-cosignature).

A checkpoint says of a log how long it is and what its root is. Its keeper signs it; witnesses, who have seen that it
goes on from the one before, sign it too, with the time. Any tool that knows these formats reads them.
"""

import base64
import binascii
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from services.runtime.audit.tree import HASH_BYTES

SIGNED, COSIGNED = 1, 4
"""Kinds of signature, in key ids: Ed25519 over the text, and over the text with a time."""
_DASH = "— "


class NoteError(Exception):
    """A note is malformed, or nobody who should have signed it has; the message is one sentence."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The length and the root of the log named `origin`."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """Returns what is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


@dataclass(frozen=True, slots=True)
class Verifier:
    """Somebody's public key under a name. `kind` is SIGNED for a log's keeper, COSIGNED for a witness. A log's key
    signs it from `since` lines on, up to `until`; a witness's from one second since the epoch to another. `former` are
    the keys before it, where they are known."""

    name: str
    key: bytes
    kind: int = SIGNED
    since: int = field(default=0, compare=False)
    until: int | None = field(default=None, compare=False)
    former: tuple["Verifier", ...] = field(default=(), compare=False)

    def of_size(self, size: int) -> list["Verifier"]:
        """Returns the keys, of this and those before it, that sign the log when it has so many lines."""
        keys = (self, *self.former)
        return [one for one in keys if one.since <= size and (one.until is None or size <= one.until)]

    def id(self) -> bytes:
        """Returns the four bytes that signatures name the key by."""
        return sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.key).digest()[:4]

    def text(self) -> str:
        """Returns the key as people exchange it: name+id+key."""
        return f"{self.name}+{self.id().hex()}+{base64.b64encode(bytes([self.kind]) + self.key).decode()}"

    def signed(self, text: str, signature: bytes) -> bool:
        """Returns whether a signature (without the key's id) is this key's, over a text."""
        message = text.encode()
        if self.kind == COSIGNED:
            seconds = int.from_bytes(signature[:8])
            if seconds < self.since or (self.until is not None and seconds > self.until):
                return False
            message = b"cosignature/v1\ntime %d\n" % seconds + message
            signature = signature[8:]
        try:
            Ed25519PublicKey.from_public_bytes(self.key).verify(signature, message)
        except InvalidSignature:
            return False
        return True


def read_verifier(text: str) -> Verifier:
    """Returns the key that stands in a text. Raises NoteError."""
    name, plus, rest = text.strip().partition("+")
    stated, _, encoded = rest.partition("+")
    try:
        kind, *key = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise NoteError(f"{text[:60]!r} is no verifier's key") from None
    verifier = Verifier(name, bytes(key), kind)
    if not plus or not name or len(key) != 32 or kind not in (SIGNED, COSIGNED) or verifier.id().hex() != stated:
        raise NoteError(f"{text[:60]!r} is no verifier's key")
    return verifier


@dataclass(frozen=True, slots=True)
class Signer:
    """Somebody who signs under a name."""

    name: str
    key: Ed25519PrivateKey
    kind: int = SIGNED

    def verifier(self) -> Verifier:
        """Returns the public half."""
        return Verifier(self.name, self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw), self.kind)

    def line(self, text: str, seconds: int = 0) -> str:
        """Returns the line of a signature over a text; `seconds` since the epoch is a witness's time."""
        signature = (
            seconds.to_bytes(8) + self.key.sign(b"cosignature/v1\ntime %d\n" % seconds + text.encode())
            if self.kind == COSIGNED
            else self.key.sign(text.encode())
        )
        return f"{_DASH}{self.name} {base64.b64encode(self.verifier().id() + signature).decode()}\n"


def signed(checkpoint: Checkpoint, lines: Iterable[str]) -> str:
    """Returns a checkpoint with its signatures' lines, as a file keeps it."""
    return checkpoint.text() + "\n" + "".join(lines)


def signature_lines(note: str) -> list[str]:
    """Returns the lines of a note's signatures."""
    return [line + "\n" for line in note.partition("\n\n")[2].splitlines()]


def read_checkpoint(note: str, keeper: Verifier, witnesses: Mapping[str, Verifier] | None = None) -> Checkpoint:
    """Returns the checkpoint in a note. Raises NoteError when it is malformed, another log's, or when the keeper, or
    one of the `witnesses` that are asked for, has not signed it."""
    text, between, _ = note.partition("\n\n")
    text += "\n"
    lines = text.split("\n")
    try:
        origin, size, root = lines[0], int(lines[1]), base64.b64decode(lines[2], validate=True)
    except (IndexError, ValueError, binascii.Error):
        raise NoteError("it is no checkpoint") from None
    if not between or len(root) != HASH_BYTES or size < 0 or str(size) != lines[1]:
        raise NoteError("it is no checkpoint")
    if origin != keeper.name:
        raise NoteError(f"it is a checkpoint of {origin}, not of {keeper.name}")
    if not any(signed_by(note, verifier) for verifier in keeper.of_size(size)):
        raise NoteError(f"{keeper.name} has not signed the checkpoint of {size} lines")
    for verifier in (witnesses or {}).values():
        if not any(signed_by(note, one) for one in (verifier, *verifier.former)):
            raise NoteError(f"{verifier.name} has not signed the checkpoint of {size} lines")
    return Checkpoint(origin, size, root)


def signed_by(note: str, verifier: Verifier) -> bool:
    """Tells if a note is signed with a key."""
    text = note.partition("\n\n")[0] + "\n"
    return any(verifier.signed(text, signature) for signature in _signatures(note, verifier))


def _signatures(note: str, verifier: Verifier) -> Iterable[bytes]:
    for line in signature_lines(note):
        name, _, encoded = line.removeprefix(_DASH).strip().partition(" ")
        try:
            signature = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            continue
        if line.startswith(_DASH) and name == verifier.name and signature[:4] == verifier.id():
            yield signature[4:]
