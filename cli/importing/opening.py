"""Opens laboratory files from disk: what kind they are, their encoding, and their rows, streamed."""

import io
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

from cli.importing.batches import Rows
from cli.laboratory_files.encoding import find_encoding
from cli.laboratory_files.fhir.reader import FhirFiles
from cli.laboratory_files.fhir.sources import BUNDLE, LONGEST_RESOURCE, RESOURCE, BundleSource, LinesSource, Source
from cli.laboratory_files.json_lines import JsonLinesReader
from cli.laboratory_files.lines import LONGEST_LINE, bounded_lines
from cli.laboratory_files.refusals import UnreadableFileError
from cli.laboratory_files.tables.reader import CsvReader, WorkbookReader
from cli.laboratory_files.tables.workbook import WORKBOOK, open_workbook

KINDS = ("auto", "csv", "jsonl", "fhir", "xlsx")
_CHUNK = 1 << 20
_HEAD = 4096


class OpenedFile(NamedTuple):
    """One file: its rows, its encoding (a codec's name, or xlsx), and what tells how many of its bytes were read."""

    path: Path
    rows: Rows
    encoding: str
    position: Callable[[], int]


class _Opened(NamedTuple):
    """A file whose kind is known; a FHIR file is read together with the others."""

    path: Path
    content: Rows | Source
    encoding: str
    position: Callable[[], int]


@contextmanager
def spooled_input() -> Iterator[Path]:
    """Yields the path of a file that holds what comes on standard input, which can be read but once; only its owner may
    read it, and it is removed afterwards."""
    with tempfile.NamedTemporaryFile(prefix="hutong-import-") as spool:
        shutil.copyfileobj(sys.stdin.buffer, spool, _CHUNK)
        spool.flush()
        yield Path(spool.name)


@contextmanager
def open_laboratory_files(paths: Sequence[Path], kind: str = "auto") -> Iterator[list[OpenedFile]]:
    """Yields the files in their order. FHIR files among them may refer to each other's resources. `kind` is one of
    KINDS.

    Raises UnreadableFileError, with reason FILE_ACCESS when there is no such file or it may not be read.
    """
    with ExitStack() as stack:
        opened = [_open(path, kind, stack) for path in paths]
        sources = [one.content for one in opened if isinstance(one.content, Source)]
        together = FhirFiles(sources)
        numbers = iter(range(len(sources)))
        yield [
            OpenedFile(
                one.path,
                together.reader(next(numbers)) if isinstance(one.content, Source) else one.content,
                one.encoding,
                one.position,
            )
            for one in opened
        ]


@contextmanager
def open_laboratory_file(path: Path, kind: str = "auto") -> Iterator[OpenedFile]:
    """Yields one file. Raises as open_laboratory_files does."""
    with open_laboratory_files([path], kind) as [opened]:
        yield opened


def _open(path: Path, kind: str, stack: ExitStack) -> _Opened:
    try:
        if not path.is_file():
            raise UnreadableFileError("FILE_ACCESS", f"没有这个文件：{path}", f"There is no such file: {path}")
        with path.open("rb") as file:
            head = file.read(_HEAD)
        if kind == "xlsx" or (kind == "auto" and head.startswith(WORKBOOK)):
            sheet, size = open_workbook(path), path.stat().st_size
            return _Opened(path, WorkbookReader(sheet.rows), "xlsx", lambda: size * sheet.read // max(sheet.total, 1))
        encoding = find_encoding(partial(_chunks, path))
        raw = stack.enter_context(path.open("rb"))
    except OSError as error:
        raise UnreadableFileError(
            "FILE_ACCESS", f"无法读取 {path}：{error.strerror}", f"Cannot read {path}: {error.strerror}"
        ) from None
    text = stack.enter_context(io.TextIOWrapper(raw, encoding=encoding, newline=None))
    return _Opened(path, _content(text, kind, head), encoding, raw.tell)


def _content(text: io.TextIOWrapper, kind: str, head: bytes) -> Rows | Source:
    """Returns a text's rows, by the JSON object on its first line, of a Bundle, a resource or a row, or none."""

    def lines(most: int) -> Iterable[str]:
        text.seek(0)
        return bounded_lines(text, most)

    head = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if kind == "csv" or (kind == "auto" and not head.startswith(b"{")):
        return CsvReader(lambda: lines(LONGEST_LINE))
    first = head.split(b"\n", 1)[0].rstrip()
    # A line that is longer than what was looked at is a Bundle's only if that is in sight.
    a_line = first.endswith(b"}") or (len(first) == len(head) and not BUNDLE.search(first))
    if kind != "jsonl" and (BUNDLE.search(first) or not a_line):
        return BundleSource(text)
    if kind == "fhir" or RESOURCE.search(first):
        return LinesSource(lambda: lines(LONGEST_RESOURCE))
    return JsonLinesReader(lambda: lines(LONGEST_LINE))


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk
