"""Answers about a log that is kept: is it whole, who looked at a person, and the proof of one line."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from services.common.instants import Instant
from services.runtime.audit.entry import Entry, from_line
from services.runtime.audit.handover import followed, note_digest, read_handover, read_notes
from services.runtime.audit.note import Checkpoint, NoteError, Verifier, read_checkpoint
from services.runtime.audit.segments import CHECKPOINT, AuditError, lines_of
from services.runtime.audit.tree import (
    Range,
    inclusion_ranges,
    leaf_hash,
    root_of_inclusion,
    roots_of,
)


@dataclass(frozen=True, slots=True)
class Verified:
    """A log that is whole: its length, and the greatest checkpoint that it was held against."""

    lines: int
    checkpoint: Checkpoint


class Proof(msgspec.Struct, frozen=True):
    """That one line is in a log: the line, its number, the hashes beside its way to the root, and the signed
    checkpoint. Whoever has the keeper's public key can check it."""

    line: str
    number: int
    hashes: tuple[str, ...]
    checkpoint: str
    handovers: tuple[str, ...] = ()
    """The notes by which the log was handed over from key to key, for who has an earlier one."""


def verify(folder: Path, keeper: Verifier, kept_elsewhere: Mapping[str, str] | None = None) -> Verified:
    """Reads a whole log and holds it against its own checkpoint and those that others keep (notes, by who has them).

    Raises AuditError when a byte, a line, the order or a file is not as it was, when the log is shorter than a
    checkpoint says, or began otherwise; NoteError for a checkpoint that its keeper has not signed.
    """
    notes = {"its own checkpoint": _own_note(folder), **(kept_elsewhere or {})}
    checkpoints = {who: read_checkpoint(note, keeper) for who, note in notes.items()}
    due = sorted(checkpoints.items(), key=lambda item: item[1].size)
    whole = Range()
    last: Instant | None = None
    waiting = iter(due)
    following = next(waiting, None)
    while following is not None and following[1].size == 0:
        following = next(waiting, None)
    handovers = {handover.since: note for note in read_notes(folder) if (handover := read_handover(note))}
    for line in lines_of(folder, keeper.name):
        try:
            entry = from_line(line.content)
        except (msgspec.ValidationError, msgspec.DecodeError) as error:
            raise AuditError(f"{line.path}: line {line.number} is no entry: {error}") from None
        if line.number in handovers and entry.answer != note_digest(handovers[line.number]):
            raise AuditError(f"{line.path}: line {line.number} does not tell of the handing over to another key")
        last = entry.at if last is None else max(last, entry.at)
        whole.append(leaf_hash(line.content))
        while following is not None and following[1].size == whole.size:
            who, checkpoint = following
            if whole.root() != checkpoint.root:
                raise AuditError(f"{folder}: the first {checkpoint.size} lines are not those that {who} was made of")
            following = next(waiting, None)
    if following is not None:
        who, checkpoint = following
        raise AuditError(f"{folder}: has {whole.size} lines, and {who} was made of {checkpoint.size}")
    return Verified(whole.size, due[-1][1])


def _own_note(folder: Path) -> str:
    try:
        return (folder / CHECKPOINT).read_text(encoding="utf-8")
    except OSError as error:
        raise AuditError(f"{folder}: there is no checkpoint: {error.strerror}") from None


def search(
    folder: Path, origin: str, *, person: str = "", first: Instant | None = None, end: Instant | None = None
) -> Iterator[tuple[int, Entry]]:
    """Yields the lines about a person (a key in hexadecimal; empty: about anybody) at `first` or later and before
    `end`, with their numbers. Raises AuditError."""
    about = person.encode()
    for line in lines_of(folder, origin):
        if about not in line.content:
            continue
        entry = from_line(line.content)
        if person and person not in entry.persons:
            continue
        if (first is None or entry.at >= first) and (end is None or entry.at < end):
            yield line.number, entry


def prove(folder: Path, keeper: Verifier, number: int) -> Proof:
    """Returns the proof that a line is in the log of its latest checkpoint. Raises AuditError, NoteError."""
    note = _own_note(folder)
    checkpoint = read_checkpoint(note, keeper)
    if not 0 <= number < checkpoint.size:
        raise AuditError(f"{folder}: its checkpoint is of {checkpoint.size} lines, and {number} is none of them")
    content = b""

    def leaves() -> Iterator[bytes]:
        nonlocal content
        for line in lines_of(folder, keeper.name):
            if line.number == number:
                content = line.content
            yield leaf_hash(line.content)

    ranges = inclusion_ranges(number, checkpoint.size)
    hashes = roots_of(leaves(), [*ranges, (number, number + 1)])[:-1]
    return Proof(content.decode(), number, tuple(one.hex() for one in hashes), note, tuple(read_notes(folder)))


def check_proof(proof: Proof, keeper: Verifier) -> Entry:
    """Returns the entry that a proof proves, with nothing but the keeper's public key. Raises NoteError."""
    checkpoint = read_checkpoint(proof.checkpoint, followed(keeper, proof.handovers))
    try:
        hashes = [bytes.fromhex(one) for one in proof.hashes]
        root = root_of_inclusion(leaf_hash(proof.line.encode()), proof.number, checkpoint.size, hashes)
    except ValueError as error:
        raise NoteError(str(error)) from None
    if root != checkpoint.root:
        raise NoteError("the line is not in the log that the checkpoint was made of")
    return from_line(proof.line.encode())
