"""The handing over from one signing key to the next: a note that both sign, and of a log also a line of it.

The last key signed the log up to the line, the next one from there on; a witness's last key signed up to an instant.
Whoever knows one key follows the notes to those after it, and needs no other word for the next one.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path

import msgspec

from services.common.instants import Instant
from services.runtime.audit.entry import Entry, to_line
from services.runtime.audit.note import COSIGNED, SIGNED, NoteError, Signer, Verifier, read_verifier, signed_by

HANDOVERS = "handovers"
"""The file, beside a log's segments or a witness's key, of all its notes of handing over."""
METHOD = "hutong.audit/HandOver"
"""What the line of a handing over has for its method."""
_TITLES = {SIGNED: "hutong audit key handover", COSIGNED: "hutong witness key handover"}
_NUMBER = re.compile(r"[0-9]{1,18}")
LONGEST = 4_096
MOST = 16
"""So many notes are read at once, of so many characters each."""


@dataclass(frozen=True, slots=True)
class Handover:
    """The handing over of the log, or of the witness, `origin`. The next key signs `since` so many lines of the log, or
    that second since the epoch."""

    origin: str
    since: int
    last: Verifier
    next: Verifier

    def text(self) -> str:
        """Returns what both keys sign."""
        return f"{self.origin}\n{_TITLES[self.last.kind]}\n{self.since}\n{self.last.text()}\n{self.next.text()}\n"


def hand_over(since: int, last: Signer, following: Signer) -> str:
    """Returns the note of handing over: of a log after so many lines, of a witness at a second since the epoch."""
    text = Handover(last.name, since, last.verifier(), following.verifier()).text()
    return f"{text}\n{last.line(text, since)}{following.line(text, since)}"


def handover_line(note: str, at: Instant) -> bytes:
    """Returns the line of the log that tells of a note; `at` in microseconds since the epoch."""
    return to_line(Entry(at, read_handover(note).origin, METHOD, "", "OK", answer=note_digest(note)))


def note_digest(note: str) -> str:
    """Returns the digest by which the line names a note."""
    return blake2b(note.encode(), digest_size=16).hexdigest()


def read_handover(note: str) -> Handover:
    """Returns what a note says. Raises NoteError unless both keys have signed it."""
    text, between, _ = note.partition("\n\n")
    lines = text.split("\n")
    if len(note) > LONGEST or not between or len(lines) != 5 or not _NUMBER.fullmatch(lines[2]):
        raise NoteError("it is no note of handing over")
    handover = Handover(lines[0], int(lines[2]), read_verifier(lines[3]), read_verifier(lines[4]))
    if handover.last.kind != handover.next.kind or lines[1] != _TITLES[handover.last.kind]:
        raise NoteError("it is no note of handing over")
    for verifier in (handover.last, handover.next):
        if verifier.name != handover.origin or not signed_by(note, verifier):
            raise NoteError(f"{verifier.name} has not signed the handing over at {handover.since}")
    if handover.last == handover.next:
        raise NoteError("it hands over to the same key")
    return handover


def followed(known: Verifier, notes: Sequence[str]) -> Verifier:
    """Returns the key that signs now, with those before it from a known one on, each up to its end; the known one
    itself where no note is of it. Raises NoteError for notes that do not follow one another."""
    if len(notes) > MOST:
        raise NoteError(f"more than {MOST} notes of handing over")
    keeper = known
    for handover in map(read_handover, notes):
        if handover.last != keeper:
            if keeper is known:
                # Of a key before the known one.
                continue
            raise NoteError(f"the handing over at {handover.since} is of another key")
        if handover.since < keeper.since:
            raise NoteError(f"the handing over at {handover.since} is before the one that it follows")
        last = replace(keeper, until=handover.since + 1, former=())
        keeper = replace(handover.next, since=handover.since, former=(*keeper.former, last))
    return keeper


def read_notes(folder: Path) -> list[str]:
    """Returns the notes of a log or a witness, oldest first. Raises NoteError, OSError."""
    try:
        return msgspec.json.decode((folder / HANDOVERS).read_bytes(), type=list[str])
    except FileNotFoundError:
        return []
    except msgspec.MsgspecError as error:
        raise NoteError(f"{folder / HANDOVERS}: {error}") from None


def keeper_after(current: Verifier, notes: Sequence[str]) -> Verifier:
    """Returns the current key with all before it. Raises NoteError for notes that do not lead to it."""
    if not notes:
        return current
    keeper = followed(read_handover(notes[0]).last, notes)
    if keeper != current:
        raise NoteError("the notes of handing over do not lead to the current key")
    return keeper
