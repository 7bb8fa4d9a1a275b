"""The log that a process keeps: lines that are on the disk before what they tell of is answered.

Lines that come while others are being written wait and are written together, with one fsync for all: under load a group
is tens of lines, and alone a line waits for the disk once.
"""

import asyncio
import fcntl
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from services.common.errors import Unavailable
from services.runtime.audit.handover import HANDOVERS, hand_over, handover_line, read_handover, read_notes
from services.runtime.audit.key_files import KEY, NEXT_KEY, read_key, write_verifier, write_whole
from services.runtime.audit.note import Checkpoint, NoteError, Signer, signed
from services.runtime.audit.segments import CHECKPOINT, AuditError, header_line, repaired, segment_path
from services.runtime.audit.tree import Range, leaf_hash
from services.runtime.clock import system_clock

log = logging.getLogger("hutong.audit")

LOCK = ".lock"

GATHER_SECONDS = 0.002
"""How long a group gathers before it is written."""
ENOUGH_LINES = 24
"""A group of so many lines, come while another was written, gathers no longer."""
HASHED_AT_ONCE = 512
"""Lines are hashed so many at a time, and before the tree is needed: hot, one costs a third of what it does alone."""
SEGMENT_LINES = 1_000_000
"""After so many lines a new segment is begun."""


_Group = list[tuple[bytes, asyncio.Future[None]]]


class AuditLog:
    """One process's log in a folder of its own; the signer's name is the log's in checkpoints. With a checkpoint it is
    handed over to the next key, where somebody has made one."""

    def __init__(self, folder: Path, signer: Signer, *, segment_lines: int = SEGMENT_LINES) -> None:
        """Opens the log, or begins it. Raises AuditError for a folder that holds another's, OSError."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise AuditError(f"{folder}: another process keeps this log") from None
        self._folder = folder
        self._signer = signer
        self._segment_lines = segment_lines
        found = repaired(folder, signer.name)
        self._range = Range() if found is None else found[1]
        self._first = 0 if found is None else int(found[0].stem)
        self._file = None if found is None else os.open(found[0], os.O_WRONLY | os.O_APPEND)
        self._length = 0 if self._file is None else os.fstat(self._file).st_size
        self._size = self._range.size
        self._unhashed: list[bytes] = []
        self._waiting: _Group = []
        self._idle = asyncio.Event()
        self._idle.set()
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="audit")
        self._last_signer: Signer | None = None
        notes = read_notes(folder)
        if (folder / NEXT_KEY).exists() and notes:
            following = Signer(signer.name, read_key(folder / NEXT_KEY), signer.kind)
            if read_handover(notes[-1]).next == following.verifier():
                # The process ended in the midst of it.
                self._finish_hand_over(notes[-1], following)

    @property
    def size(self) -> int:
        """Returns how many lines the log has on the disk."""
        return self._size

    def append(self, line: bytes) -> asyncio.Future[None]:
        """Returns what is done when the line is on the disk. It raises UNAVAILABLE (AUDIT_UNWRITABLE) when the line
        cannot be written: then what it tells of must not be answered."""
        loop = asyncio.get_running_loop()
        # One for each, so that who leaves takes nobody along.
        written: asyncio.Future[None] = loop.create_future()
        self._waiting.append((line, written))
        if self._idle.is_set():
            self._idle.clear()
            # A visit to the disk costs as much as a dozen lines: those of the next moment come along.
            loop.call_later(GATHER_SECONDS, self._begin_group, loop)
        return written

    def _begin_group(self, loop: asyncio.AbstractEventLoop) -> None:
        group, self._waiting = self._waiting, []
        self._disk.submit(self._write_group, loop, group)

    def _write_group(self, loop: asyncio.AbstractEventLoop, group: _Group) -> None:
        written = False
        try:
            self._write([line for line, _ in group])
            written = True
        except OSError:
            pass
        except Exception:  # whoever waits is told that nothing was written, whatever the reason
            log.exception("the audit trail was not written")
        loop.call_soon_threadsafe(self._end_group, loop, group, written)

    def _end_group(self, loop: asyncio.AbstractEventLoop, group: _Group, written: bool) -> None:
        if not self._waiting:
            self._idle.set()
        elif len(self._waiting) >= ENOUGH_LINES:
            self._begin_group(loop)
        else:
            loop.call_later(GATHER_SECONDS, self._begin_group, loop)
        for _, waits in group:
            if waits.done():
                continue
            if written:
                waits.set_result(None)
            else:
                waits.set_exception(_unwritable())

    def _write(self, lines: list[bytes]) -> None:
        if self._file is None or self._size - self._first >= self._segment_lines:
            self._begin_segment()
        file = self._file
        if file is None:
            raise OSError("no segment is open")
        content = b"\n".join([*lines, b""])
        try:
            _write_all(file, content)
            os.fdatasync(file)
        except Exception:
            # What is half there is no line: the next group begins where this one did.
            os.ftruncate(file, self._length)
            raise
        self._length += len(content)
        self._size += len(lines)
        self._unhashed += lines
        if len(self._unhashed) >= HASHED_AT_ONCE:
            self._hash()

    def _hash(self) -> None:
        lines, self._unhashed = self._unhashed, []
        for line in lines:
            self._range.append(leaf_hash(line))

    def _begin_segment(self) -> None:
        self._hash()
        path = segment_path(self._folder, self._range.size)
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_TRUNC, 0o600)
        header = header_line(self._signer.name, self._range)
        try:
            _write_all(file, header)
            os.fsync(file)
            _sync_folder(self._folder)
        except OSError:
            os.close(file)
            path.unlink(missing_ok=True)
            raise
        if self._file is not None:
            os.close(self._file)
        self._file, self._first, self._length = file, self._range.size, len(header)

    async def checkpoint(self) -> str:
        """Returns a signed checkpoint of what is on the disk, and keeps it beside the segments. Raises OSError."""
        return await asyncio.get_running_loop().run_in_executor(self._disk, self._checkpoint)

    def _hand_over(self) -> None:
        """Hands the log over to the next key, where one was made. Raises OSError, NoteError."""
        if not (self._folder / NEXT_KEY).exists():
            return
        following = Signer(self._signer.name, read_key(self._folder / NEXT_KEY), self._signer.kind)
        note = hand_over(self._size, self._signer, following)
        write_whole(self._folder / HANDOVERS, msgspec.json.encode([*read_notes(self._folder), note]))
        self._finish_hand_over(note, following)

    def _finish_hand_over(self, note: str, following: Signer) -> None:
        if self._size == read_handover(note).since:
            self._write([handover_line(note, system_clock())])
        self._last_signer, self._signer = self._signer, following
        (self._folder / NEXT_KEY).replace(self._folder / KEY)
        write_verifier(self._folder, following.verifier())

    def _checkpoint(self) -> str:
        try:
            self._hand_over()
        except (ValueError, NoteError) as error:
            log.warning("the audit trail was not handed over", extra={"error": str(error)})
        self._hash()
        checkpoint = Checkpoint(self._signer.name, self._range.size, self._range.root())
        # Who has not heard of the next key yet believes the first one that it signs by the last.
        signers = [self._signer] if self._last_signer is None else [self._last_signer, self._signer]
        self._last_signer = None
        note = signed(checkpoint, [signer.line(checkpoint.text()) for signer in signers])
        beside = self._folder / f".{CHECKPOINT}.new"
        beside.write_text(note, encoding="utf-8")
        beside.replace(self._folder / CHECKPOINT)
        return note

    async def close(self) -> None:
        """Writes what waits, leaves a checkpoint, and closes the log."""
        await self._idle.wait()
        try:
            await self.checkpoint()
        except OSError:
            pass
        self._disk.shutdown()
        if self._file is not None:
            os.close(self._file)
            self._file = None
        os.close(self._lock)


def _unwritable() -> Unavailable:
    return Unavailable(
        "AUDIT_UNWRITABLE",
        "审计日志无法写入，暂不应答",
        "The audit trail cannot be written; nothing is answered until it can",
    )


def _write_all(file: int, content: bytes) -> None:
    while content:
        content = content[os.write(file, content) :]


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
