"""The audit trail: what is acknowledged is there, and whatever is done to it afterwards is found."""

import asyncio
import errno
import os
import tracemalloc

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cli.main import main
from services.common.errors import Unavailable
from services.common.instants import Instant
from services.runtime.audit.copying import copy_trail
from services.runtime.audit.entry import Entry, to_line
from services.runtime.audit.key_files import KEY, VERIFIER
from services.runtime.audit.log import AuditLog
from services.runtime.audit.note import COSIGNED, Checkpoint, NoteError, Signer, read_checkpoint, read_verifier, signed
from services.runtime.audit.opening import keeper_of, open_log
from services.runtime.audit.replicas import page_of
from services.runtime.audit.segments import CHECKPOINT, AuditError, segments
from services.runtime.audit.trail import check_proof, prove, search, verify

SIGNER = Signer("hutong/test/gateway", Ed25519PrivateKey.generate())
KEEPER = SIGNER.verifier()
PERSONS = ("aa" * 16, "bb" * 16)


def entry(number: int) -> Entry:
    """A line about one of two persons."""
    return Entry(
        at=Instant(1_659_000_000_000_000 + number),
        caller="spiffe://hutong/mesh/gateway",
        method="hutong.verdict.v1.VerdictService/ComputeVerdict",
        purpose="SHOW_CODE",
        outcome="OK",
        persons=(PERSONS[number % 2],),
        answer=f"{number:032x}",
        trace=f"{number:032x}",
    )


async def kept(folder, lines: int, *, segment_lines: int = 7) -> None:
    """Keeps a log of so many lines, written as they come, in several runs of a process."""
    written = 0
    while written < lines:
        log = AuditLog(folder, SIGNER, segment_lines=segment_lines)
        some = min(10, lines - written)
        await asyncio.gather(*(log.append(to_line(entry(written + place))) for place in range(some)))
        written += some
        await log.close()


async def test_what_was_acknowledged_is_whole_and_found_again(tmp_path):
    """Over segments and restarts; each person's lines, and no other's."""
    await kept(tmp_path, 45)
    verified = verify(tmp_path, KEEPER)
    assert (45, 45) == (verified.lines, verified.checkpoint.size)
    assert 5 == len(segments(tmp_path))
    assert [number for number in range(45) if number % 2] == [
        number for number, _ in search(tmp_path, SIGNER.name, person=PERSONS[1])
    ]
    first, end = entry(10).at, entry(20).at
    assert list(range(10, 20)) == [number for number, _ in search(tmp_path, SIGNER.name, first=first, end=end)]


async def test_verifying_takes_no_more_memory_for_four_times_as_many_lines(tmp_path, capsys):
    """By the command, over many segments and over one: no file is held, and no line is kept once it was read."""
    peaks = {}
    for segment_lines in (100, 1_000_000):
        for lines in (1_000, 1_000, 4_000):
            folder = tmp_path / f"{segment_lines}-{lines}"
            if not folder.exists():
                log = AuditLog(folder, SIGNER, segment_lines=segment_lines)
                await asyncio.gather(*(log.append(to_line(entry(number))) for number in range(lines)))
                await log.close()
                (folder / VERIFIER).write_text(KEEPER.text())
            tracemalloc.start()
            try:
                # The first run imports what the command needs; the second, of the same trail, is the one that counts.
                assert 0 == main(["audit", "verify", str(folder)])
                peaks[segment_lines, lines] = tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()
            assert f"{lines} 行" in capsys.readouterr().out
        size = sum(path.stat().st_size for path in segments(folder))
        assert peaks[segment_lines, 4_000] < size / 4
        assert peaks[segment_lines, 4_000] < 1.5 * peaks[segment_lines, 1_000] + 20_000


async def test_each_line_is_proven_with_the_public_key_alone(tmp_path):
    """A proof with another line, number or key proves nothing."""
    await kept(tmp_path, 23)
    for number in range(23):
        proof = prove(tmp_path, KEEPER, number)
        assert entry(number) == check_proof(proof, read_verifier(KEEPER.text()))
    forged = type(proof)(to_line(entry(3)).decode(), proof.number, proof.hashes, proof.checkpoint)
    with pytest.raises(NoteError, match="not in the log"):
        check_proof(forged, KEEPER)
    stranger = Signer(SIGNER.name, Ed25519PrivateKey.generate()).verifier()
    with pytest.raises(NoteError, match="has not signed"):
        check_proof(proof, stranger)
    with pytest.raises(AuditError, match="none of them"):
        prove(tmp_path, KEEPER, 23)


def swap(folder, one: int, other: int) -> None:
    """Swaps two lines of the first segment."""
    path = segments(folder)[0]
    lines = path.read_bytes().split(b"\n")
    lines[one], lines[other] = lines[other], lines[one]
    path.write_bytes(b"\n".join(lines))


def edit(folder, place: int, old: bytes, new: bytes) -> None:
    """Edits a segment."""
    path = segments(folder)[place]
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new, 1))


def cut(folder, place: int, lines: int) -> None:
    """Cuts lines off the end of a segment."""
    path = segments(folder)[place]
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-lines]))


def third(folder) -> bytes:
    """Returns the third line of the first segment."""
    return segments(folder)[0].read_bytes().splitlines(keepends=True)[3]


TAMPERINGS = {
    "a byte": lambda folder: edit(folder, 1, b"SHOW_CODE", b"SHOW_COdE"),
    "a byte of the last segment": lambda folder: edit(folder, -1, b"SHOW_CODE", b"SHOW_COdE"),
    "a clock": lambda folder: edit(folder, 0, b'"at":16590000', b'"at":16580000'),
    "a line": lambda folder: edit(folder, 0, third(folder), b""),
    "a line twice": lambda folder: edit(folder, 0, third(folder), third(folder) * 2),
    "an order": lambda folder: swap(folder, 2, 4),
    "a tail": lambda folder: cut(folder, -1, 1),
    "a tail that is not whole": lambda folder: edit(folder, -1, segments(folder)[-1].read_bytes()[-5:], b""),
    "the last file": lambda folder: segments(folder)[-1].unlink(),
    "a file in the middle": lambda folder: segments(folder)[2].unlink(),
    "the first file": lambda folder: segments(folder)[0].unlink(),
    "a header": lambda folder: edit(folder, 2, b'"before":["', b'"before":["00'),
    "a file's name": lambda folder: segments(folder)[-1].rename(folder / "000000009999.log"),
    "another log's file": lambda folder: edit(folder, 1, b"hutong/test/gateway", b"hutong/test/lookup"),
    "the checkpoint's size": lambda folder: edit_note(folder, "45", "44"),
    "no checkpoint": lambda folder: (folder / CHECKPOINT).unlink(),
}  # fmt: skip


def edit_note(folder, old: str, new: str) -> None:
    """Edits the checkpoint."""
    path = folder / CHECKPOINT
    path.write_text(path.read_text().replace(old, new, 1))


@pytest.mark.parametrize("what", TAMPERINGS)
async def test_tampering_is_found(tmp_path, what):
    """A byte, a line, an order, a tail, a whole file, a clock, a checkpoint."""
    await kept(tmp_path, 45)
    TAMPERINGS[what](tmp_path)
    with pytest.raises((AuditError, NoteError)):
        verify(tmp_path, KEEPER)


async def test_a_tail_rewritten_by_the_keeper_itself_is_found_by_who_kept_a_checkpoint(tmp_path):
    """With the key one can write another log; not one that others' checkpoints fit."""
    await kept(tmp_path / "true", 30)
    theirs = (tmp_path / "true" / CHECKPOINT).read_text()
    log = AuditLog(tmp_path / "forged", SIGNER)
    for number in range(40):
        await log.append(to_line(entry(number if number != 29 else 99)))
    await log.close()
    assert 40 == verify(tmp_path / "forged", KEEPER).lines
    with pytest.raises(AuditError, match="the supervisor"):
        verify(tmp_path / "forged", KEEPER, {"the supervisor": theirs})
    await kept(tmp_path / "true", 0)
    assert 30 == verify(tmp_path / "true", KEEPER, {"the supervisor": theirs}).lines


async def test_a_line_that_was_cut_by_a_crash_was_never_acknowledged(tmp_path):
    """Half a line is cut off, and the log goes on from there."""
    await kept(tmp_path, 9)
    with segments(tmp_path)[-1].open("ab") as file:
        file.write(to_line(entry(9))[:20])
    await kept(tmp_path, 1)
    assert 10 == verify(tmp_path, KEEPER).lines


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "no space left"), ValueError("a fault of ours")], ids=["a full disk", "a fault"]
)
async def test_what_cannot_be_written_is_not_acknowledged(tmp_path, monkeypatch, error):
    """A full disk, half-way through a group, or whatever else: an error that says so, nothing half there, and on it
    goes afterwards."""
    log = AuditLog(tmp_path, SIGNER)
    await log.append(to_line(entry(0)))
    whole = os.write

    def full(file: int, content: bytes) -> int:
        whole(file, content[: len(content) // 2])
        raise error

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(Unavailable) as refused:
        await log.append(to_line(entry(1)))
    assert "AUDIT_UNWRITABLE" == refused.value.reason
    monkeypatch.setattr(os, "write", whole)
    await log.append(to_line(entry(1)))
    await log.close()
    assert 2 == verify(tmp_path, KEEPER).lines


async def test_lines_of_a_moment_share_a_visit_to_the_disk(tmp_path, monkeypatch):
    """A thousand at once cost a handful of fsyncs."""
    visits = 0
    whole = os.fdatasync

    def counted(file: int) -> None:
        nonlocal visits
        visits += 1
        whole(file)

    monkeypatch.setattr(os, "fdatasync", counted)
    log = AuditLog(tmp_path, SIGNER)
    await asyncio.gather(*(log.append(to_line(entry(number))) for number in range(1_000)))
    await log.close()
    assert 1_000 == verify(tmp_path, KEEPER).lines
    assert visits <= 5


async def test_who_leaves_takes_nobody_along(tmp_path):
    """A caller of a group that is gone before the disk has answered: the others are acknowledged, and every line is
    there, also those that came while the group was written."""
    log = AuditLog(tmp_path, SIGNER)

    async def ask(number: int) -> None:
        await log.append(to_line(entry(number)))

    callers = [asyncio.create_task(ask(number)) for number in range(30)]
    await asyncio.sleep(0)
    callers[3].cancel()
    later = [asyncio.create_task(ask(number)) for number in range(30, 100)]
    ended = await asyncio.gather(*callers, *later, return_exceptions=True)
    assert [3] == [number for number, one in enumerate(ended) if one is not None]
    assert 100 == log.size
    await log.close()
    assert 100 == verify(tmp_path, KEEPER).lines


async def test_two_processes_keep_no_log_together(tmp_path):
    """The second is told so."""
    log = AuditLog(tmp_path, SIGNER)
    with pytest.raises(AuditError, match="another process"):
        AuditLog(tmp_path, SIGNER)
    await log.close()


def test_a_witness_signs_with_the_time():
    """C2SP's cosignature; a note without it is none for who asks for it."""
    witness = Signer("hutong/nation", Ed25519PrivateKey.generate(), COSIGNED)
    checkpoint = Checkpoint(SIGNER.name, 3, bytes(32))
    text = checkpoint.text()
    note = signed(checkpoint, [SIGNER.line(text), witness.line(text, 1_700_000_000)])
    wanted = {"the nation": read_verifier(witness.verifier().text())}
    assert checkpoint == read_checkpoint(note, KEEPER, wanted)
    with pytest.raises(NoteError, match="hutong/nation has not signed"):
        read_checkpoint(signed(checkpoint, [SIGNER.line(text)]), KEEPER, wanted)


@pytest.mark.parametrize(
    "text", ["", "a+b+c", "name+00000000+" + KEEPER.text().split("+")[2]], ids=["nothing", "no key", "another id"]
)
def test_a_key_that_is_none_is_refused(text):
    """A verifier's key says its own id."""
    with pytest.raises(NoteError):
        read_verifier(text)


async def test_a_backup_that_is_made_while_lines_are_written_is_whole(tmp_path):
    """Again and again into the same folder: each time every line up to the latest checkpoint, and never fewer. It is
    held against what others keep; the key is not in it."""
    folder, backup = tmp_path / "trail", tmp_path / "backup"
    log = open_log(folder, "test")
    stop = asyncio.Event()

    async def write() -> None:
        number = 0
        while not stop.is_set():
            await asyncio.gather(*(log.append(to_line(entry(number + place))) for place in range(5)))
            number += 5

    log._segment_lines = 20
    writing = asyncio.create_task(write())
    sizes, note = [], ""
    for _ in range(6):
        before = log.size
        while log.size < before + 15:
            await asyncio.sleep(0.001)
        note = await log.checkpoint()
        sizes.append((await asyncio.to_thread(copy_trail, folder, backup)).lines)
    stop.set()
    await writing
    await log.close()
    assert sizes == sorted(set(sizes))
    assert sizes[-1] == read_checkpoint(note, keeper_of(folder)).size
    assert 2 < len(segments(backup)) <= len(segments(folder))
    assert not (backup / KEY).exists()
    assert sizes[-1] == verify(backup, keeper_of(backup), {"a witness": note}).lines
    assert 0 == main(["backup", "audit", str(folder), str(backup)])
    assert log.size == len(list(search(backup, keeper_of(backup).name)))


async def test_a_backup_is_not_replaced_by_less_nor_by_another_trail(tmp_path, capsys):
    """Of a trail that lost its tail, was changed, or is another process's: refused, and the backup is as it was."""
    folder, backup = tmp_path / "trail", tmp_path / "backup"
    for lines in (30, 5):
        log = open_log(folder, "test")
        await asyncio.gather(*(log.append(to_line(entry(number))) for number in range(lines)))
        await log.close()
        if lines == 30:
            assert 30 == copy_trail(folder, backup).lines
            # The disk of the process is lost; it begins anew.
            folder.rename(tmp_path / "lost")
    assert 3 == main(["backup", "audit", str(folder), str(backup)])
    assert "another trail" in capsys.readouterr().err
    (older,) = segments(tmp_path / "lost")
    older.write_bytes(b"".join(older.read_bytes().splitlines(keepends=True)[:20]))
    assert 3 == main(["backup", "audit", str(tmp_path / "lost"), str(backup)])
    assert 30 == verify(backup, keeper_of(backup)).lines


async def test_a_trail_that_ended_is_archived_and_removed_and_its_proofs_hold(tmp_path):
    """By the route of the runbook: the next trail goes on beside it, what is told of a person is told from both until
    the old one is moved away, its archive is whole, and a part of it never is."""
    trails, archive, elsewhere = tmp_path / "trails", tmp_path / "archive", tmp_path / "elsewhere"
    await kept(trails / "2022", 30)
    log = open_log(trails / "2023", "test")
    await log.append(to_line(entry(30)))
    await log.close()
    (trails / "2022" / VERIFIER).write_text(KEEPER.text())

    def told() -> int:
        return len(page_of(sorted(trails.iterdir()), {PERSONS[0]}, 100).entries)

    assert 16 == told()
    proof = prove(trails / "2022", KEEPER, 12)
    assert 30 == copy_trail(trails / "2022", archive).lines
    (trails / "2022").rename(elsewhere)
    assert 1 == told()
    assert 30 == verify(archive, KEEPER).lines
    assert 15 == len(list(search(archive, KEEPER.name, person=PERSONS[0])))
    segments(archive)[0].unlink()
    with pytest.raises(AuditError, match="begins with line"):
        verify(archive, KEEPER)
    for path in segments(archive):
        path.unlink()
    assert entry(12) == check_proof(proof, KEEPER)
    assert 30 == read_checkpoint((archive / CHECKPOINT).read_text(), KEEPER).size
