"""A trail is handed over from one signing key to the next while it is written: each part is verified by its key, and
witnesses and whoever has the first key alone follow."""

import asyncio
from pathlib import Path

import pytest
from hutong.audit.v1 import witness_service_pb2 as pb

from cli.main import main
from services.common.errors import FailedPrecondition
from services.common.instants import Instant
from services.runtime.audit.copying import copy_trail
from services.runtime.audit.cosigning import COSIGNED as FOLDER
from services.runtime.audit.cosigning import Cosigning, consistency_proof
from services.runtime.audit.entry import Entry, to_line
from services.runtime.audit.handover import HANDOVERS, METHOD, followed, hand_over, read_handover, read_notes
from services.runtime.audit.key_files import KEY, NEXT_KEY, VERIFIER, read_key
from services.runtime.audit.log import AuditLog
from services.runtime.audit.note import NoteError, Signer, read_checkpoint, signed
from services.runtime.audit.opening import keeper_of, open_log, prepare_next_key, signer_in
from services.runtime.audit.segments import AuditError
from services.runtime.audit.trail import check_proof, prove, search, verify
from services.runtime.audit.witness import WitnessServicer
from services.runtime.audit.witness_signer import WitnessSigner

NOW = Instant(1_790_000_000_000_000)


async def written(log: AuditLog, lines: int) -> str:
    """Appends lines to a log; returns its checkpoint."""
    for _ in range(lines):
        await log.append(to_line(Entry(NOW, "spiffe://hutong/mesh/gateway", f"M{log.size}", "", "OK")))
    return await log.checkpoint()


def witness(tmp_path: Path) -> WitnessServicer:
    """A witness, with what it has seen so far."""
    folder = tmp_path / "witness"
    return WitnessServicer(folder, WitnessSigner(folder, "hutong/witness/test"), lambda: NOW)


async def handed_over(tmp_path: Path) -> tuple[Path, list[str]]:
    """Makes a trail that was handed over twice while it was written, and co-signed each time; returns its checkpoints
    before, between and after."""
    folder = tmp_path / "trail"
    log = open_log(folder, "test")
    cosigning = Cosigning(folder, {"test": witness(tmp_path)})
    notes = []
    for lines in (5, 9, 4):
        notes.append(await written(log, lines))
        await cosigning.cosign(notes[-1])
        prepare_next_key(folder)
    (folder / NEXT_KEY).unlink()
    await log.close()
    return folder, notes


async def test_each_part_is_verified_by_its_own_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """By its keeper's folder, by checkpoints that others kept of each part, in a backup, by a line of the log for each
    handing over; a witness signed all of it."""
    folder, notes = await handed_over(tmp_path)
    keeper = keeper_of(folder)
    assert [5, 15, 20] == [read_checkpoint(note, keeper).size for note in notes]
    assert 20 == verify(folder, keeper, dict(zip("abc", notes, strict=True))).lines
    assert [14, 19] == [number for number, entry in search(folder, keeper.name) if entry.method == METHOD]
    assert [(0, 15), (14, 20)] == [(one.since, one.until) for one in keeper.former]
    assert 20 == read_checkpoint((folder / FOLDER / "test").read_text(), keeper).size
    assert 20 == copy_trail(folder, tmp_path / "backup").lines
    for place, note in enumerate(notes):
        (tmp_path / f"note{place}").write_text(note)
    kept = [word for place in range(3) for word in ("--checkpoint", str(tmp_path / f"note{place}"))]
    assert 0 == await asyncio.to_thread(main, ["audit", "verify", str(folder), *kept])
    assert "20 行 lines" in capsys.readouterr().out


async def test_a_proof_is_checked_with_the_first_key_alone(tmp_path: Path):
    """And with each later one; not with one that the trail never had."""
    folder, _ = await handed_over(tmp_path)
    proof = prove(folder, keeper_of(folder), 3)
    for known in (*keeper_of(folder).former, keeper_of(folder)):
        assert "M3" == check_proof(proof, known).method
    stranger = signer_in(tmp_path / "stranger", keeper_of(folder).name, 1).verifier()
    with pytest.raises(NoteError):
        check_proof(proof, stranger)


async def test_the_last_key_signs_nothing_more(tmp_path: Path):
    """Neither a checkpoint that is longer than its part, nor for a witness that has seen the next one."""
    folder = tmp_path / "trail"
    log = open_log(folder, "test")
    last = Signer(keeper_of(folder).name, read_key(folder / KEY))
    seen = witness(tmp_path)
    cosigning = Cosigning(folder, {"test": seen})
    await cosigning.cosign(await written(log, 3))
    prepare_next_key(folder)
    await cosigning.cosign(await written(log, 3))
    checkpoint = read_checkpoint(await written(log, 2), keeper_of(folder))
    forged = signed(checkpoint, [last.line(checkpoint.text())])
    with pytest.raises(NoteError, match="has not signed"):
        read_checkpoint(forged, keeper_of(folder))
    stolen = Signer(last.name, signer_in(tmp_path / "thief", last.name, 1).key)
    proof = consistency_proof(folder, 7, 9)
    for verifier, note, handovers in (
        (last.verifier(), forged, []),
        (
            stolen.verifier(),
            signed(checkpoint, [stolen.line(checkpoint.text())]),
            [hand_over(8, last, stolen)],
        ),
    ):
        with pytest.raises(FailedPrecondition) as refused:
            await seen.CosignCheckpoint(
                pb.CosignCheckpointRequest(
                    checkpoint=note, verifier=verifier.text(), old_size=7, proof=proof, handovers=handovers
                )
            )
        assert "CHECKPOINT_INCONSISTENT" == refused.value.reason
    await log.close()


@pytest.mark.parametrize("ended", ["before the line", "before the key", "before its public half"])
async def test_a_process_that_ends_in_the_midst_goes_on(tmp_path: Path, ended: str):
    """With the same note, one line of it, and the next key."""
    folder = tmp_path / "trail"
    log = open_log(folder, "test")
    await written(log, 4)
    await log.close()
    first, verifier = (folder / KEY).read_bytes(), (folder / VERIFIER).read_bytes()
    prepare_next_key(folder)
    following = (folder / NEXT_KEY).read_bytes()
    log = open_log(folder, "test")
    await written(log, 0)
    await log.close()
    (folder / VERIFIER).write_bytes(verifier)
    if ended != "before its public half":
        (folder / KEY).write_bytes(first)
        (folder / NEXT_KEY).write_bytes(following)
    if ended == "before the line":
        segment = next(folder.glob("*.log"))
        segment.write_bytes(b"".join(segment.read_bytes().splitlines(keepends=True)[:-1]))
    log = open_log(folder, "test")
    await written(log, 2)
    await log.close()
    keeper = keeper_of(folder)
    assert 7 == verify(folder, keeper).lines
    assert read_handover(read_notes(folder)[-1]).next == keeper
    assert [4] == [number for number, entry in search(folder, keeper.name) if entry.method == METHOD]


async def test_a_handing_over_that_is_not_whole_is_found(tmp_path: Path):
    """A note that one of the keys has not signed, one that was taken away, and a line that tells of another."""
    folder, checkpoints = await handed_over(tmp_path)
    notes = read_notes(folder)
    with pytest.raises(NoteError, match="has not signed"):
        read_handover("".join(notes[0].splitlines(keepends=True)[:-1]))
    with pytest.raises(NoteError, match="of another key"):
        followed(read_handover(notes[0]).last, [notes[0], notes[0]])
    kept = (folder / HANDOVERS).read_bytes()
    (folder / HANDOVERS).unlink()
    with pytest.raises(NoteError, match="has not signed"):
        verify(folder, keeper_of(folder), {"an older one": checkpoints[0]})
    (folder / HANDOVERS).write_bytes(kept)
    segment = next(folder.glob("*.log"))
    segment.write_bytes(segment.read_bytes().replace(METHOD.encode(), b"hutong.audit/Elsewher"))
    with pytest.raises(AuditError):
        verify(folder, keeper_of(folder))


async def test_the_command_makes_one_key_at_a_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """`hutong audit rotate` on a running trail; a second one waits, and where there is no trail there is none."""
    folder = tmp_path / "trail"
    log = open_log(folder, "test")
    before = keeper_of(folder)
    await written(log, 1)
    assert 0 == await asyncio.to_thread(main, ["audit", "rotate", str(folder)])
    assert 2 == await asyncio.to_thread(main, ["audit", "rotate", str(folder)])
    await written(log, 1)
    assert [before] == list(keeper_of(folder).former)
    assert 0 == await asyncio.to_thread(main, ["audit", "rotate", str(folder)])
    assert 2 == await asyncio.to_thread(main, ["audit", "rotate", str(tmp_path / "none")])
    await log.close()
    capsys.readouterr()
