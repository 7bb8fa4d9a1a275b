"""The key of a witness, in a folder, which goes over to the next one once somebody has made that."""

import logging
from pathlib import Path
from typing import NamedTuple

import msgspec

from services.runtime.audit.handover import HANDOVERS, hand_over, read_handover, read_notes
from services.runtime.audit.key_files import KEY, NEXT_KEY, read_key, write_verifier, write_whole
from services.runtime.audit.note import COSIGNED, NoteError, Signer, Verifier
from services.runtime.audit.opening import signer_in

log = logging.getLogger("hutong.audit.witness")


class Cosignature(NamedTuple):
    """The line of a signature, the key that made it, and the notes by which the witness came to that key."""

    line: str
    verifier: Verifier
    handovers: list[str]


class WitnessSigner:
    """Signs under a witness's name, with the time."""

    def __init__(self, folder: Path, name: str) -> None:
        """Reads the key in a folder, or makes it under this name. Raises AuditError."""
        self._folder = folder
        self._signer = signer_in(folder, name, COSIGNED)
        self._earliest = 0
        """A second since the epoch before which the key does not sign: the one before it did."""
        self._notes: list[str] = []
        self._take_notes()

    def sign(self, text: str, seconds: int) -> Cosignature:
        """Returns the signature over a text; `seconds` since the epoch. Where the next key was made, it is the first of
        that."""
        seconds = max(seconds, self._earliest)
        try:
            self._hand_over(seconds)
        except (OSError, ValueError, NoteError) as error:
            log.warning("the witness's key was not handed over", extra={"error": str(error)})
        return Cosignature(self._signer.line(text, seconds), self._signer.verifier(), self._notes)

    def _hand_over(self, seconds: int) -> None:
        """Goes over to the next key, where one was made. Raises OSError, ValueError, NoteError."""
        path = self._folder / NEXT_KEY
        if not path.exists():
            return
        following = Signer(self._signer.name, read_key(path), COSIGNED)
        # A process that ended in the midst of it has left the note.
        if not self._notes or read_handover(self._notes[-1]).next != following.verifier():
            notes = [*self._notes, hand_over(seconds, self._signer, following)]
            write_whole(self._folder / HANDOVERS, msgspec.json.encode(notes))
        path.replace(self._folder / KEY)
        self._signer = following
        self._take_notes()
        write_verifier(self._folder, following.verifier())

    def _take_notes(self) -> None:
        self._notes = read_notes(self._folder)
        self._earliest = read_handover(self._notes[-1]).since if self._notes else 0
