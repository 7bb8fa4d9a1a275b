"""Gets the checkpoints of this process's trail co-signed by its witnesses."""

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from hutong.audit.v1 import witness_service_pb2 as pb

from services.common.errors import ServiceError
from services.runtime.audit.handover import read_notes
from services.runtime.audit.note import read_checkpoint
from services.runtime.audit.opening import keeper_of
from services.runtime.audit.segments import read_header, read_lines, segments
from services.runtime.audit.tree import Range, consistency_ranges, leaf_hash, roots_of

log = logging.getLogger("hutong.audit")

COSIGNED = "cosigned"
"""The folder, beside a trail's segments, of the last note that each witness has co-signed."""


class Witness(Protocol):
    """A witness, as the contract has it."""

    async def CosignCheckpoint(self, request: pb.CosignCheckpointRequest) -> pb.CosignCheckpointResponse:
        """Co-signs a checkpoint. Raises ServiceError."""


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
            folder = self._folder / COSIGNED
            folder.mkdir(exist_ok=True, mode=0o700)
            (folder / name.replace("/", "-")).write_text(note + response.cosignature, encoding="utf-8")
            return


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
