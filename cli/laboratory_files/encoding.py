"""Finds out a file's encoding: UTF-8 with or without a byte order mark, else GB18030, else it is refused.

The whole file is decoded once before its first row is used: a file that turns unreadable half way would otherwise have
been half stored. UTF-8 is tried first, because a GB18030 text is practically never valid UTF-8, while the reverse is
common.
"""

import codecs
from collections.abc import Callable, Iterable

from cli.laboratory_files.refusals import UnreadableFileError

UTF_8 = "utf-8-sig"
"""UTF-8; a byte order mark at the start is taken off when there is one."""
GB18030 = "gb18030"

_OTHER_KINDS = (
    (b"\xd0\xcf\x11\xe0", "旧版 Excel 工作簿（xls）", "an old Excel workbook (xls)"),
    (codecs.BOM_UTF16_LE, "UTF-16 文本", "UTF-16 text"),
    (codecs.BOM_UTF16_BE, "UTF-16 文本", "UTF-16 text"),
    (b"%PDF", "PDF 文件", "a PDF document"),
    (b"<", "网页或 XML 文件", "a web page or XML"),
)


def _first_wrong_byte(chunks: Iterable[bytes], encoding: str) -> int | None:
    decoder = codecs.getincrementaldecoder(encoding)()
    # What a decoder holds back of an unfinished character belongs to the bytes before the chunk.
    done = 0
    for chunk in chunks:
        held = len(decoder.getstate()[0])
        try:
            decoder.decode(chunk)
        except UnicodeDecodeError as error:
            return done - held + error.start
        done += len(chunk)
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return done
    return None


def find_encoding(chunks: Callable[[], Iterable[bytes]]) -> str:
    """The name of the codec that reads the file. `chunks` yields the file's bytes from its start each time it is asked.

    Raises UnreadableFileError with reason FILE_EMPTY, FILE_KIND (an old workbook, UTF-16, a PDF, binary data) or
    FILE_ENCODING.
    """
    head = next(iter(chunks()), b"")
    if not head:
        raise UnreadableFileError("FILE_EMPTY", "文件是空的", "The file is empty")
    for mark, zh, en in _OTHER_KINDS:
        if head.removeprefix(codecs.BOM_UTF8).lstrip().startswith(mark):
            raise UnreadableFileError(
                "FILE_KIND",
                f"这是{zh}；请另存为 xlsx 或 CSV（UTF-8 或 GB18030）",
                f"This is {en}; save it as xlsx, or as CSV in UTF-8 or GB18030",
            )
    if b"\0" in head:
        raise UnreadableFileError("FILE_KIND", "这不是文本文件", "This is not a text file")
    at = _first_wrong_byte(chunks(), UTF_8)
    if at is None:
        return UTF_8
    other = _first_wrong_byte(chunks(), GB18030)
    if other is None:
        return GB18030
    raise UnreadableFileError(
        "FILE_ENCODING",
        f"编码既不是 UTF-8（第 {at + 1} 字节起不符），也不是 GB18030（第 {other + 1} 字节起不符）",
        f"The file is neither UTF-8 (wrong from byte {at + 1}) nor GB18030 (wrong from byte {other + 1})",
    )
