"""A log as files: segments of lines, each beginning with a header that says where in the log it stands.

`000000000000.log` begins the log; the next segment is named after the number of its first line. A header holds the
hashes of the lines before it (a Range), so that a process goes on from its last segment alone, and that a segment that
was changed, cut, removed or put elsewhere does not fit its neighbours.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from services.runtime.audit.tree import Range, leaf_hash

SUFFIX = ".log"
CHECKPOINT = "checkpoint"


class AuditError(Exception):
    """A log is not what it should be; the message is one sentence that names file and line."""


class Header(msgspec.Struct, frozen=True):
    """The first line of a segment: whose log it is, and what came before."""

    origin: str
    first: int
    before: tuple[str, ...]
    """The hashes of the Range of all lines before, hexadecimal."""

    def range(self) -> Range:
        """Returns the lines before. Raises ValueError when the hashes are no log's of that length."""
        return Range(self.first, [bytes.fromhex(one) for one in self.before])


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a log: its number, its bytes, and the file it stands in."""

    number: int
    content: bytes
    path: Path


def header_line(origin: str, before: Range) -> bytes:
    """Returns the header of a segment that begins after these lines, with its end."""
    header = Header(origin, before.size, tuple(one.hex() for one in before.hashes))
    return msgspec.json.encode(header) + b"\n"


def segment_path(folder: Path, first: int) -> Path:
    """Returns where the segment that begins with this line lies."""
    return folder / f"{first:012d}{SUFFIX}"


def segments(folder: Path) -> Sequence[Path]:
    """Returns the segments of a log, in order."""
    return sorted(folder.glob(f"*{SUFFIX}"))


def read_header(path: Path) -> Header:
    """Returns a segment's header. Raises AuditError."""
    try:
        with path.open("rb") as file:
            return msgspec.json.decode(file.readline(), type=Header)
    except (OSError, msgspec.MsgspecError) as error:
        raise AuditError(f"{path}: its first line is no header: {error}") from None


def read_lines(path: Path) -> Iterator[bytes]:
    """Yields the lines of a segment after its header, without their ends. Raises AuditError where the last one has
    none: whoever wrote it was interrupted, or somebody has cut it."""
    with path.open("rb") as file:
        file.readline()
        for line in file:
            if not line.endswith(b"\n"):
                raise AuditError(f"{path}: its last line is not whole")
            yield line[:-1]


def lines_of(folder: Path, origin: str) -> Iterator[Line]:
    """Yields every line of a log, in order, while checking that it is one log: each segment is this log's, is named
    after its place, and says of the lines before it what they are. Takes no memory to speak of. Raises AuditError."""
    whole = Range()
    for path in segments(folder):
        header = read_header(path)
        if header.origin != origin:
            raise AuditError(f"{path}: is part of the log {header.origin}, not of {origin}")
        if path != segment_path(folder, header.first):
            raise AuditError(f"{path}: holds the lines from {header.first}, and has another name")
        if header.first != whole.size:
            raise AuditError(f"{path}: begins with line {header.first}; the lines before it end at {whole.size}")
        if header.before != tuple(one.hex() for one in whole.hashes):
            raise AuditError(f"{path}: the lines before it are not those that were there when it was begun")
        for content in read_lines(path):
            whole.append(leaf_hash(content))
            yield Line(whole.size - 1, content, path)


def repaired(folder: Path, origin: str) -> tuple[Path, Range] | None:
    """Returns the last segment of a log, and the Range of all lines, for a process that goes on with it; None for a
    log that is not there. A last line that is not whole was never acknowledged, and is cut off. Raises AuditError."""
    paths = segments(folder)
    if not paths:
        return None
    path = paths[-1]
    content = path.read_bytes()
    if not content.endswith(b"\n"):
        with path.open("r+b") as file:
            file.truncate(content.rfind(b"\n") + 1)
            os.fsync(file.fileno())
        if b"\n" not in content:
            # Not even its header was whole: the segment was never begun.
            path.unlink()
            return repaired(folder, origin)
    header = read_header(path)
    if header.origin != origin:
        raise AuditError(f"{path}: is part of the log {header.origin}, not of {origin}")
    try:
        whole = header.range()
    except ValueError as error:
        raise AuditError(f"{path}: {error}") from None
    for line in read_lines(path):
        whole.append(leaf_hash(line))
    return path, whole
