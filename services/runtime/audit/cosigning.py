"""Gets the checkpoints of this process's trail co-signed by its witnesses, and tells what they have signed."""

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import msgspec
from hutong.audit.v1 import witness_service_pb2 as pb

from services.common.errors import ServiceError
from services.runtime.audit.handover import followed, keeper_after, read_notes
from services.runtime.audit.key_files import write_whole
from services.runtime.audit.note import NoteError, Verifier, read_checkpoint, read_verifier
from services.runtime.audit.opening import keeper_of
from services.runtime.audit.segments import read_header, read_lines, segments
from services.runtime.audit.tree import Range, consistency_ranges, leaf_hash, roots_of

log = logging.getLogger("hutong.audit")

COSIGNED = "cosigned"
"""The folder, beside a trail's segments, of the last note that each witness has co-signed."""
WITNESSES = "witnesses"
"""The folder, beside it, of each witness's key, with the notes by which it came to that."""


class Witness(Protocol):
    """A witness, as the contract has it."""

    async def CosignCheckpoint(self, request: pb.CosignCheckpointRequest) -> pb.CosignCheckpointResponse:
        """Co-signs a checkpoint. Raises ServiceError."""


class WitnessKey(msgspec.Struct, frozen=True):
    """The key that a witness was seen to sign with last, and its notes of handing over."""

    verifier: str
    handovers: tuple[str, ...] = ()

    def with_former(self) -> Verifier:
        """Returns the key with those before it. Raises NoteError."""
        return keeper_after(read_verifier(self.verifier), self.handovers)


class Cosigning:
    """Hands the checkpoints of the trail in a folder to witnesses, by name, and keeps what they sign."""

    def __init__(self, folder: Path, witnesses: Mapping[str, Witness]) -> None:
        self._folder = folder
        self._witnesses = witnesses
        self._sizes = dict.fromkeys(witnesses, 0)

    async def cosign(self, note: str) -> None:
        """Has every witness sign a checkpoint. One that cannot be asked is asked with the next; one that refuses is an
        error in the log."""
        await asyncio.gather(*(self._one(name, note) for name in self._witnesses))

    async def _one(self, name: str, note: str) -> None:
        keeper, handovers = keeper_of(self._folder), read_notes(self._folder)
        size = read_checkpoint(note, keeper).size
        # The witness may have seen more, or less, than this process remembers: then it says so, once.
        for _ in range(2):
            old = self._sizes[name]
            if old > size:
                return
            proof = await asyncio.to_thread(consistency_proof, self._folder, old, size)
            request = pb.CosignCheckpointRequest(
                checkpoint=note, verifier=keeper.text(), old_size=old, proof=proof, handovers=handovers
            )
            try:
                response = await self._witnesses[name].CosignCheckpoint(request)
            except ServiceError as error:
                if error.reason == "CHECKPOINT_SIZE" and error.metadata.get("size", "").isdecimal():
                    self._sizes[name] = int(error.metadata["size"])
                    continue
                log.warning("no cosignature", extra={"reason": error.reason, "source": name})
                return
            self._sizes[name] = size
            try:
                await asyncio.to_thread(self._keep, name, note, keeper, response)
            except NoteError as error:
                log.error("a cosignature is not taken", extra={"error": str(error), "source": name})
            return

    def _keep(self, name: str, note: str, keeper: Verifier, response: pb.CosignCheckpointResponse) -> None:
        """Keeps what a witness has signed, and with which key. Raises NoteError for a key that is neither the one that
        it had nor one that it was handed over to, and for no signature with it; OSError."""
        file = name.replace("/", "-")
        now = WitnessKey(response.verifier, tuple(response.handovers))
        path = self._folder / WITNESSES / file
        key = now.with_former()
        seen = _witness_key(path)
        if seen is not None and seen.with_former() not in (key, *key.former):
            raise NoteError(f"{key.name} signs with another key than it did")
        cosigned = note + response.cosignature
        read_checkpoint(cosigned, keeper, {name: key})
        for folder in (COSIGNED, WITNESSES):
            (self._folder / folder).mkdir(exist_ok=True, mode=0o700)
        # The key first: a note of a key that nobody has is of no use.
        if now != seen:
            write_whole(path, msgspec.json.encode(now))
        write_whole(self._folder / COSIGNED / file, cosigned.encode())


def _witness_key(path: Path) -> WitnessKey | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=WitnessKey)
    except FileNotFoundError:
        return None
    except msgspec.MsgspecError as error:
        raise NoteError(f"{path}: {error}") from None


def cosigned_notes(folder: Path, keeper: Verifier, witness: Verifier) -> dict[str, str]:
    """Returns those notes beside a trail that a witness has co-signed, by their files: with the key that is given, with
    one before that where it is known, or with one that it was handed over to. Raises NoteError where there is none;
    OSError."""
    paths = sorted((folder / WITNESSES).glob("[!.]*"))
    chains = [key.handovers for path in paths if (key := _witness_key(path)) is not None]
    verifiers = [witness, *(followed(witness, handovers) for handovers in chains)]
    notes = {}
    for path in sorted((folder / COSIGNED).glob("[!.]*")):
        note = path.read_text(encoding="utf-8")
        for verifier in verifiers:
            try:
                read_checkpoint(note, keeper, {witness.name: verifier})
            except NoteError:
                continue
            notes[str(path)] = note
    if not notes:
        raise NoteError(f"{witness.name} has co-signed no checkpoint that is kept in {folder / COSIGNED}")
    return notes


def consistency_proof(folder: Path, old: int, size: int) -> list[bytes]:
    """Returns the proof that a trail of `size` lines goes on from its first `old`. Reads from the segment that `old`
    stands in, no earlier. Raises AuditError, ValueError."""
    if not 0 < old < size:
        return []
    paths = segments(folder)
    starts = [path for path in paths if int(path.stem) <= old]
    whole = read_header(starts[-1]).range()
    leaves: list[bytes] = []
    for path in paths[len(starts) - 1 :]:
        for line in read_lines(path):
            if whole.size + len(leaves) == size:
                break
            if whole.size < old:
                whole.append(leaf_hash(line))
            else:
                leaves.append(leaf_hash(line))
    before = _subtrees(whole)
    ranges = consistency_ranges(old, size)
    after = [(first - old, end - old) for first, end in ranges if first >= old]
    roots = dict(zip(after, roots_of(leaves, after), strict=True))
    return [before[first, end] if end <= old else roots[first - old, end - old] for first, end in ranges]


def _subtrees(whole: Range) -> dict[tuple[int, int], bytes]:
    """Returns the roots of the whole subtrees of a range, by the leaves that they are of."""
    found: dict[tuple[int, int], bytes] = {}
    first = 0
    hashes = iter(whole.hashes)
    for bit in reversed(range(whole.size.bit_length())):
        if whole.size >> bit & 1:
            found[first, first + (1 << bit)] = next(hashes)
            first += 1 << bit
    return found
