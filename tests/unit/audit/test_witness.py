"""Witnesses sign what goes on from what they have seen, and nothing else."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hutong.audit.v1 import witness_service_pb2 as pb

from cli.certificates.authority import utc_now
from cli.certificates.development import TRUST, certificate_folder, write_certificates
from services.common.errors import FailedPrecondition, ServiceError, Unavailable
from services.common.instants import Instant
from services.runtime.access.table import default_table
from services.runtime.audit.cosigning import COSIGNED as FOLDER
from services.runtime.audit.cosigning import Cosigning, Witness, consistency_proof
from services.runtime.audit.log import AuditLog
from services.runtime.audit.note import SIGNED, Signer, read_checkpoint, read_verifier
from services.runtime.audit.opening import keeper_of, open_log, signer_in
from services.runtime.audit.process import witness_bindings
from services.runtime.audit.tree import Range, leaf_hash, roots_of_consistency
from services.runtime.audit.witness import WitnessServicer
from services.runtime.audit.witness_signer import WitnessSigner
from services.runtime.clock import system_clock
from services.runtime.rpc.channel import Channels
from services.runtime.rpc.security import mutual_tls
from services.runtime.rpc.server import Server
from services.runtime.tls.files import TlsFiles
from services.runtime.tls.identity import Principal, principal

NOW = Instant(1_790_000_000_000_000)


def clock() -> Instant:
    """A clock that stands."""
    return NOW


class Counted:
    """A witness, whose calls are counted, and which may be away."""

    def __init__(self, servicer: WitnessServicer) -> None:
        self.servicer = servicer
        self.calls = 0
        self.away = False

    async def CosignCheckpoint(self, request: pb.CosignCheckpointRequest) -> pb.CosignCheckpointResponse:
        self.calls += 1
        if self.away:
            raise Unavailable("SERVICE_UNREACHABLE", "无法连接", "It cannot be reached")
        return await self.servicer.CosignCheckpoint(request)


@pytest.fixture
def witness(tmp_path: Path) -> Counted:
    """A witness that has seen nothing yet."""
    folder = tmp_path / "witness"
    return Counted(WitnessServicer(folder, WitnessSigner(folder, "hutong/witness/test"), clock))


async def grown(folder: Path, lines: int, text: str = "line") -> str:
    """Appends lines to the trail in a folder, as a process that runs for a while; returns its checkpoint."""
    log = open_log(folder, "test")
    for _ in range(lines):
        await log.append(f"{text} {log.size}".encode())
    note = await log.checkpoint()
    await log.close()
    return note


def cosigned(folder: Path, witness: Counted) -> int:
    """Returns the size of the checkpoint that the witness has signed, after a look at both signatures."""
    note = (folder / FOLDER / "test").read_text()
    verifier = read_verifier((witness.servicer._folder / "verifier").read_text())
    return read_checkpoint(note, keeper_of(folder), {"test": verifier}).size


async def test_a_trail_that_grows_is_signed_again_and_again(tmp_path: Path, witness: Counted):
    """Also by a process that was started anew, and after the witness was away."""
    folder = tmp_path / "trail"
    for step, size in enumerate((3, 8, 9, 20)):
        note = await grown(folder, size - (0, 3, 8, 9)[step])
        cosigning = Cosigning(folder, {"test": witness})
        witness.away = True
        await cosigning.cosign(note)
        witness.away = False
        await cosigning.cosign(note)
        assert size == cosigned(folder, witness)


async def test_a_witness_that_knows_where_it_stood_is_asked_once(tmp_path: Path, witness: Counted):
    """And the same checkpoint again is signed again."""
    folder = tmp_path / "trail"
    note = await grown(folder, 4)
    cosigning = Cosigning(folder, {"test": witness})
    await cosigning.cosign(note)
    await cosigning.cosign(await grown(folder, 4))
    await cosigning.cosign(await grown(folder, 0))
    assert 3 == witness.calls
    assert 8 == cosigned(folder, witness)


def rewritten(folder: Path) -> None:
    """Changes a line."""
    path = next(folder.glob("*.log"))
    path.write_bytes(path.read_bytes().replace(b"line 2", b"LINE 2"))


def cut(folder: Path) -> None:
    """Takes the tail away."""
    path = next(folder.glob("*.log"))
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-3]))


@pytest.mark.parametrize("change", [rewritten, cut])
async def test_what_its_keeper_rewrites_is_not_signed(tmp_path: Path, witness: Counted, change: Callable[[Path], None]):
    """With the key in hand, and however long it grows again: the witness has the old checkpoint and refuses the new."""
    folder = tmp_path / "trail"
    await Cosigning(folder, {"test": witness}).cosign(await grown(folder, 6))
    change(folder)
    note = await grown(folder, 9, "other")
    with pytest.raises(FailedPrecondition) as raised:
        await witness.CosignCheckpoint(
            pb.CosignCheckpointRequest(
                checkpoint=note,
                verifier=keeper_of(folder).text(),
                old_size=6,
                proof=consistency_proof(folder, 6, read_checkpoint(note, keeper_of(folder)).size),
            )
        )
    assert "CHECKPOINT_INCONSISTENT" == raised.value.reason
    await Cosigning(folder, {"test": witness}).cosign(note)
    assert 6 == cosigned(folder, witness)


async def test_another_key_under_the_same_name_is_refused(tmp_path: Path, witness: Counted):
    """Who lost the key begins a trail of another name."""
    folder = tmp_path / "trail"
    note = await grown(folder, 2)
    keeper = keeper_of(folder)
    await witness.CosignCheckpoint(pb.CosignCheckpointRequest(checkpoint=note, verifier=keeper.text()))
    other = tmp_path / "other"
    log = AuditLog(other, signer_in(other, keeper.name, SIGNED))
    await log.append(b"line 0")
    forged = await log.checkpoint()
    await log.close()
    with pytest.raises(FailedPrecondition) as raised:
        await witness.CosignCheckpoint(
            pb.CosignCheckpointRequest(checkpoint=forged, verifier=keeper_of(other).text(), old_size=2)
        )
    assert "CHECKPOINT_INCONSISTENT" == raised.value.reason


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"checkpoint": "nothing"}, "CHECKPOINT_UNSIGNED"),
        ({"verifier": "nobody"}, "CHECKPOINT_UNSIGNED"),
        ({"checkpoint": "x" * 5_000}, "CHECKPOINT_TOO_LARGE"),
        ({"proof": [b"short"]}, "CHECKPOINT_PROOF"),
        ({"old_size": 7}, "CHECKPOINT_SIZE"),
        ({"old_size": -1}, "CHECKPOINT_SIZE"),
    ],
)
async def test_what_is_no_checkpoint_is_refused(
    tmp_path: Path, witness: Counted, changes: dict[str, object], reason: str
):
    """With a reason for each."""
    folder = tmp_path / "trail"
    request = pb.CosignCheckpointRequest(checkpoint=await grown(folder, 2), verifier=keeper_of(folder).text())
    for name, value in changes.items():
        if name == "proof":
            request.proof.append(b"short")
        else:
            setattr(request, name, value)
    with pytest.raises(ServiceError) as raised:
        await witness.CosignCheckpoint(request)
    assert reason in {raised.value.reason, *(violation.reason for violation in raised.value.violations)}


async def test_proofs_are_right_for_every_size_and_segment(tmp_path: Path):
    """Held against the plain roots; a segment has four lines."""
    folder = tmp_path / "trail"
    signer: Signer = signer_in(folder, "hutong/test/1", SIGNED)
    log = AuditLog(folder, signer, segment_lines=4)
    roots = [Range().root()]
    whole = Range()
    for number in range(19):
        line = f"line {number}".encode()
        await log.append(line)
        whole.append(leaf_hash(line))
        roots.append(whole.root())
    await log.close()
    for size in range(1, 20):
        for old in range(1, size + 1):
            proof = consistency_proof(folder, old, size)
            assert (roots[old], roots[size]) == roots_of_consistency(old, size, roots[old], proof), (old, size)


async def test_every_witness_signs_and_none_waits_for_another(tmp_path: Path):
    """The nation and the supervisor, each under its own name and key; who is away has the next."""
    folder = tmp_path / "trail"
    names = ("nation/records", "supervisor/witness")
    witnesses = {
        name: Counted(WitnessServicer(tmp_path / name, WitnessSigner(tmp_path / name, f"hutong/witness/{name}"), clock))
        for name in names
    }

    def sizes() -> dict[str, int]:
        found = {}
        for name in names:
            kept = folder / FOLDER / name.replace("/", "-")
            verifier = read_verifier((tmp_path / name / "verifier").read_text())
            found[name] = read_checkpoint(kept.read_text(), keeper_of(folder), {name: verifier}).size
        return found

    note = await grown(folder, 3)
    cosigning = Cosigning(folder, witnesses)
    await cosigning.cosign(note)
    assert {"nation/records": 3, "supervisor/witness": 3} == sizes()
    witnesses["nation/records"].away = True
    await cosigning.cosign(await grown(folder, 2))
    assert {"nation/records": 3, "supervisor/witness": 5} == sizes()
    witnesses["nation/records"].away = False
    await cosigning.cosign(await grown(folder, 1))
    assert {"nation/records": 6, "supervisor/witness": 6} == sizes()


async def test_the_supervisor_signs_over_mutual_tls(tmp_path: Path):
    """What `hutong audit witness` serves, under the supervisor's certificate: services of the mesh are signed for, and
    whoever the table does not name is not."""
    supervisor, gateway, stranger = (
        principal(name) for name in ("supervisor/witness", "mesh/gateway", "mesh/stranger")
    )
    write_certificates(tmp_path, [supervisor, gateway, stranger], now=utc_now())

    def files(name: Principal) -> TlsFiles:
        own = certificate_folder(tmp_path, name)
        return TlsFiles(own / "tls.crt", own / "tls.key", tmp_path / TRUST)

    bindings = witness_bindings(str(tmp_path / "seen"), f"hutong/witness/{supervisor}", system_clock)
    server = Server("witness", bindings, security=mutual_tls(files(supervisor), default_table(), system_clock))
    port = await server.start("127.0.0.1:0")
    signed = {}
    try:
        for name in (gateway, stranger):
            folder = tmp_path / name.rpartition("/")[2]
            note = await grown(folder, 3)
            async with Channels(name, files(name)) as channels:
                witness = channels.remote(Witness, f"127.0.0.1:{port}", service="witness", peer=supervisor)
                await Cosigning(folder, {"supervisor/witness": witness}).cosign(note)
            signed[name] = (folder / FOLDER / "supervisor-witness").exists()
    finally:
        await server.drain(0.0, 1.0)
    assert {gateway: True, stranger: False} == signed
