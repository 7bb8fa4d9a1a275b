"""A witness goes over to another key while it signs; what it signed is believed by whoever has any of its keys."""

import asyncio
import logging
from pathlib import Path

import pytest
from hutong.audit.v1 import witness_service_pb2 as pb

from cli.main import main
from services.common.instants import SECOND, Instant
from services.runtime.audit.copying import copy_trail
from services.runtime.audit.cosigning import COSIGNED as COSIGNED_NOTES
from services.runtime.audit.cosigning import Cosigning, cosigned_notes
from services.runtime.audit.entry import Entry, to_line
from services.runtime.audit.handover import hand_over, read_notes
from services.runtime.audit.key_files import KEY, NEXT_KEY, VERIFIER, read_key
from services.runtime.audit.note import COSIGNED, NoteError, Signer, Verifier, read_checkpoint, read_verifier, signed
from services.runtime.audit.opening import keeper_of, open_log, prepare_next_key
from services.runtime.audit.witness import WitnessServicer
from services.runtime.audit.witness_signer import WitnessSigner

NAME = "hutong/witness/nation/records"
START = 1_790_000_000


class Clocked:
    """A witness whose clock is set, and which is started anew for each call."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seconds = START

    async def CosignCheckpoint(self, request: pb.CosignCheckpointRequest) -> pb.CosignCheckpointResponse:
        servicer = WitnessServicer(
            self.folder, WitnessSigner(self.folder, NAME), lambda: Instant(self.seconds * SECOND)
        )
        return await servicer.CosignCheckpoint(request)


async def grown(folder: Path, lines: int) -> str:
    """Appends lines to the trail in a folder; returns its checkpoint."""
    log = open_log(folder, "test")
    for _ in range(lines):
        await log.append(to_line(Entry(Instant(START * SECOND), "spiffe://hutong/mesh/gateway", "M", "", "OK")))
    note = await log.checkpoint()
    await log.close()
    return note


async def cosigned_thrice(tmp_path: Path) -> tuple[Path, Clocked, list[str], list[Verifier]]:
    """Has a trail co-signed under three keys of its witness; returns what was co-signed, and the keys."""
    folder, witness = tmp_path / "trail", Clocked(tmp_path / "witness")
    cosigning = Cosigning(folder, {"nation/records": witness})
    notes, keys = [], []
    for _ in range(3):
        await cosigning.cosign(await grown(folder, 3))
        notes.append((folder / COSIGNED_NOTES / "nation-records").read_text())
        keys.append(read_verifier((witness.folder / VERIFIER).read_text()))
        prepare_next_key(witness.folder)
        witness.seconds += 100
    (witness.folder / NEXT_KEY).unlink()
    return folder, witness, notes, keys


async def test_what_each_key_signed_is_believed_with_the_first_alone(tmp_path: Path):
    """The notes lead from it to the others; and the witness's own folder tells of all of them."""
    folder, witness, notes, keys = await cosigned_thrice(tmp_path)
    assert 3 == len({one.key for one in keys})
    whole = keeper_of(witness.folder)
    for size, note in zip((3, 6, 9), notes, strict=True):
        assert size == read_checkpoint(note, keeper_of(folder), {NAME: whole}).size
    for known in keys:
        assert [notes[-1]] == list(cosigned_notes(folder, keeper_of(folder), known).values())


async def test_a_key_that_was_handed_over_signs_nothing_later(tmp_path: Path):
    """Whoever stole it: neither under its own name, nor by handing it over once more, nor with a note of other keys."""
    folder, witness, notes, keys = await cosigned_thrice(tmp_path)
    keeper, last = keeper_of(folder), Signer(NAME, read_key(witness.folder / KEY), COSIGNED)
    prepare_next_key(witness.folder)
    witness.seconds += 1_000
    await Cosigning(folder, {"nation/records": witness}).cosign(await grown(folder, 1))
    assert [keys[2]] == list(keeper_of(witness.folder).former[-1:])
    checkpoint = read_checkpoint(notes[-1], keeper)
    own = "".join(line + "\n" for line in notes[-1].partition("\n\n")[2].splitlines()[:1])
    forged = signed(checkpoint, [own, last.line(checkpoint.text(), witness.seconds + 500)])
    with pytest.raises(NoteError, match="has not signed"):
        read_checkpoint(forged, keeper, {NAME: keeper_of(witness.folder)})
    thief = Signer(NAME, read_key(write_other(tmp_path)), COSIGNED)

    class Thief:
        async def CosignCheckpoint(self, request: pb.CosignCheckpointRequest) -> pb.CosignCheckpointResponse:
            text = request.checkpoint.partition("\n\n")[0] + "\n"
            return pb.CosignCheckpointResponse(
                cosignature=thief.line(text, witness.seconds),
                verifier=thief.verifier().text(),
                handovers=[hand_over(witness.seconds, last, thief)],
            )

    before = (folder / COSIGNED_NOTES / "nation-records").read_text()
    await Cosigning(folder, {"nation/records": Thief()}).cosign(await grown(folder, 1))
    assert before == (folder / COSIGNED_NOTES / "nation-records").read_text()


def write_other(tmp_path: Path) -> Path:
    """Makes a key that is nobody's; returns its file."""
    WitnessSigner(tmp_path / "thief", NAME)
    return tmp_path / "thief" / KEY


@pytest.mark.parametrize("answer", ["another key", "no signature", "another's signature"])
async def test_a_signature_that_is_not_the_witnesss_is_not_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, answer: str
):
    """The last good one stays, and the log says so."""
    folder, witness, _, _ = await cosigned_thrice(tmp_path)
    before = (folder / COSIGNED_NOTES / "nation-records").read_text()
    other = Clocked(tmp_path / "other")

    class Wrong:
        async def CosignCheckpoint(self, request: pb.CosignCheckpointRequest) -> pb.CosignCheckpointResponse:
            right = await witness.CosignCheckpoint(request)
            unseen = pb.CosignCheckpointRequest(checkpoint=request.checkpoint, verifier=request.verifier)
            wrong = await other.CosignCheckpoint(unseen)
            if answer == "another key":
                return wrong
            right.cosignature = "" if answer == "no signature" else wrong.cosignature
            return right

    with caplog.at_level(logging.ERROR, "hutong.audit"):
        await Cosigning(folder, {"nation/records": Wrong()}).cosign(await grown(folder, 1))
    assert before == (folder / COSIGNED_NOTES / "nation-records").read_text()
    assert ["a cosignature is not taken"] == [one.message for one in caplog.records]


@pytest.mark.parametrize("ended", ["before the key", "before its public half"])
async def test_a_witness_that_ends_in_the_midst_goes_on(tmp_path: Path, ended: str):
    """With the same note, and the next key."""
    folder, witness, _, _ = await cosigned_thrice(tmp_path)
    first, verifier = (witness.folder / KEY).read_bytes(), (witness.folder / VERIFIER).read_bytes()
    prepare_next_key(witness.folder)
    following = (witness.folder / NEXT_KEY).read_bytes()
    cosigning = Cosigning(folder, {"nation/records": witness})
    await cosigning.cosign(await grown(folder, 1))
    notes = read_notes(witness.folder)
    (witness.folder / VERIFIER).write_bytes(verifier)
    if ended == "before the key":
        (witness.folder / KEY).write_bytes(first)
        (witness.folder / NEXT_KEY).write_bytes(following)
    witness.seconds -= 50
    await cosigning.cosign(await grown(folder, 1))
    assert notes == read_notes(witness.folder)
    note = (folder / COSIGNED_NOTES / "nation-records").read_text()
    assert 11 == read_checkpoint(note, keeper_of(folder), {NAME: keeper_of(witness.folder)}).size


async def test_the_commands_go_by_any_key_of_the_witness(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """`hutong audit rotate` of a witness's folder; `hutong audit verify --witness`, of the trail and of a backup, with
    the first key, with the folder; never with a stranger's."""
    folder, witness, _, keys = await cosigned_thrice(tmp_path)

    async def hutong(*words: str) -> int:
        return await asyncio.to_thread(main, ["audit", *words])

    assert 0 == await hutong("rotate", str(witness.folder))
    witness.seconds += 100
    await Cosigning(folder, {"nation/records": witness}).cosign(await grown(folder, 1))
    assert 4 == 1 + len(keeper_of(witness.folder).former)
    copy_trail(folder, tmp_path / "backup")
    for trail in (folder, tmp_path / "backup"):
        for key in (keys[0].text(), keys[2].text(), str(witness.folder)):
            assert 0 == await hutong("verify", str(trail), "--witness", key)
    write_other(tmp_path)
    stranger = (tmp_path / "thief" / VERIFIER).read_text()
    assert 3 == await hutong("verify", str(folder), "--witness", stranger)
    assert 2 == await hutong("verify", str(folder), "--witness", "nobody")
    assert 2 == await hutong("verify", str(folder), "--witness", str(tmp_path))
    capsys.readouterr()
