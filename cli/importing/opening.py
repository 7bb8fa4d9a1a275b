"""Opens a laboratory file from disk: its encoding found out, its rows streamed."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cli.importing.batches import Rows
from cli.laboratory_files.encoding import find_encoding
from cli.laboratory_files.fhir import BUNDLE, BundleReader
from cli.laboratory_files.json_lines import JsonLinesReader
from cli.laboratory_files.lines import bounded_lines
from cli.laboratory_files.rows import Reader
from cli.laboratory_files.unreadable import UnreadableFileError

_CHUNK = 1 << 20


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk


def _kind(path: Path) -> str:
    """csv, jsonl or fhir: a JSON object on its first line, of a Bundle or of rows, or neither."""
    with path.open("rb") as file:
        head = file.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()
    if not head.startswith(b"{"):
        return "csv"
    first = head.split(b"\n", 1)[0].rstrip()
    return "jsonl" if first.endswith(b"}") and not BUNDLE.search(first) else "fhir"


@contextmanager
def open_laboratory_file(path: Path, kind: str = "auto") -> Iterator[tuple[Rows, str, Callable[[], int]]]:
    """The file's rows, its encoding, and how many of its bytes were read so far. `kind` is csv, jsonl, fhir or auto.

    Raises UnreadableFileError, with reason FILE_ACCESS when there is no such file or it may not be read.
    """
    try:
        if not path.is_file():
            raise UnreadableFileError("FILE_ACCESS", f"没有这个文件：{path}", f"There is no such file: {path}")
        encoding = find_encoding(lambda: _chunks(path))
        raw = path.open("rb")
    except OSError as error:
        raise UnreadableFileError(
            "FILE_ACCESS", f"无法读取 {path}：{error.strerror}", f"Cannot read {path}: {error.strerror}"
        ) from None
    with raw, io.TextIOWrapper(raw, encoding=encoding, newline=None) as text:
        chosen = _kind(path) if kind == "auto" else kind
        if chosen == "fhir":
            yield BundleReader(text), encoding, raw.tell
        elif chosen == "jsonl":
            yield JsonLinesReader(bounded_lines(text)), encoding, raw.tell
        else:
            yield Reader(bounded_lines(text)), encoding, raw.tell
