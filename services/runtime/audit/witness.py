"""The witness of other processes' trails: it co-signs a checkpoint that goes on from the last one it has seen."""

import logging
import os
from hashlib import sha256
from pathlib import Path

import msgspec
from hutong.audit.v1 import witness_service_pb2 as pb

from services.common.errors import FailedPrecondition, Unavailable, invalid
from services.common.instants import SECOND
from services.runtime.audit.handover import followed
from services.runtime.audit.note import Checkpoint, NoteError, read_checkpoint, read_verifier
from services.runtime.audit.tree import HASH_BYTES, roots_of_consistency
from services.runtime.audit.witness_signer import WitnessSigner
from services.runtime.clock import Clock
from services.runtime.rpc.call import current_call

log = logging.getLogger("hutong.audit.witness")

LONGEST_NOTE = 4_096
LONGEST_PROOF = 63


class Seen(msgspec.Struct, frozen=True):
    """The last that a witness has seen of a log: who keeps it, by which key, how long it was, and its root."""

    caller: str
    verifier: str
    size: int
    root: bytes
    note: str


class WitnessServicer:
    """Serves hutong.audit.v1.WitnessService, and keeps what it has seen in a folder, one file a log."""

    def __init__(self, folder: Path, signer: WitnessSigner, clock: Clock) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder = folder
        self._signer = signer
        self._clock = clock

    async def CosignCheckpoint(self, request: pb.CosignCheckpointRequest) -> pb.CosignCheckpointResponse:
        """See the contract. What was seen is on the disk before it is signed. Raises Unavailable
        (WITNESS_UNWRITABLE)."""
        checkpoint = self._read(request)
        caller = current_call().caller
        path = self._folder / f"{sha256(checkpoint.origin.encode()).hexdigest()[:32]}.json"
        seen = self._seen(path)
        self._check(request, checkpoint, seen, caller)
        if seen is None or checkpoint.size > seen.size:
            kept = Seen(caller, request.verifier, checkpoint.size, checkpoint.root, request.checkpoint)
            try:
                _write(path, msgspec.json.encode(kept))
            except OSError as error:
                log.warning("witness cannot write: %s", error.strerror)
                raise Unavailable(
                    "WITNESS_UNWRITABLE", "见证方无法写入，暂不联署", "The witness cannot write, and signs nothing"
                ) from None
        signature = self._signer.sign(checkpoint.text(), self._clock() // SECOND)
        return pb.CosignCheckpointResponse(
            cosignature=signature.line, verifier=signature.verifier.text(), handovers=signature.handovers
        )

    def _read(self, request: pb.CosignCheckpointRequest) -> Checkpoint:
        if len(request.checkpoint) > LONGEST_NOTE or len(request.proof) > LONGEST_PROOF:
            raise invalid(
                "checkpoint", "CHECKPOINT_TOO_LARGE", "检查点或证明过大", "The checkpoint or proof is too large"
            )
        if any(len(one) != HASH_BYTES for one in request.proof):
            raise invalid("proof", "CHECKPOINT_PROOF", "证明由32字节的散列组成", "A proof is hashes of 32 bytes")
        try:
            return read_checkpoint(request.checkpoint, read_verifier(request.verifier))
        except (NoteError, ValueError):
            raise invalid(
                "checkpoint",
                "CHECKPOINT_UNSIGNED",
                "检查点不完整，或未由其日志的密钥签名",
                "It is no checkpoint, or not one that its log's key has signed",
            ) from None

    def _seen(self, path: Path) -> Seen | None:
        try:
            return msgspec.json.decode(path.read_bytes(), type=Seen)
        except FileNotFoundError:
            return None

    def _check(
        self, request: pb.CosignCheckpointRequest, checkpoint: Checkpoint, seen: Seen | None, caller: str
    ) -> None:
        """Raises FailedPrecondition unless a checkpoint goes on from what was seen."""
        if seen is not None and (seen.caller != caller or not _same_keeper(seen, request)):
            raise self._inconsistent(checkpoint, caller)
        size = 0 if seen is None else seen.size
        if request.old_size != size:
            raise FailedPrecondition(
                "CHECKPOINT_SIZE",
                f"见证方已见到 {size} 行，证明应由此开始",
                f"The witness has seen {size} lines: the proof begins there",
                {"size": str(size)},
            )
        if seen is None or seen.size == 0:
            return
        try:
            roots = roots_of_consistency(seen.size, checkpoint.size, seen.root, request.proof)
        except ValueError:
            raise self._inconsistent(checkpoint, caller) from None
        if roots != (seen.root, checkpoint.root):
            raise self._inconsistent(checkpoint, caller)

    def _inconsistent(self, checkpoint: Checkpoint, caller: str) -> FailedPrecondition:
        log.error("an audit trail does not go on from what was seen", extra={"caller": caller, "size": checkpoint.size})
        return FailedPrecondition(
            "CHECKPOINT_INCONSISTENT",
            "该日志与见证方此前所见不一致",
            "The log does not go on from what the witness has seen of it",
        )


def _same_keeper(seen: Seen, request: pb.CosignCheckpointRequest) -> bool:
    """Tells if a log is signed by the key that was seen, or by one that it was handed over to since."""
    if seen.verifier == request.verifier:
        return True
    try:
        keeper = followed(read_verifier(seen.verifier), request.handovers)
        # What was witnessed already is the last key's: nobody hands it over afterwards.
        return keeper == read_verifier(request.verifier) and all((one.until or 0) > seen.size for one in keeper.former)
    except NoteError:
        return False


def _write(path: Path, content: bytes) -> None:
    partial = path.with_suffix(".new")
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
