"""Takes off a cell, and counts, what spreadsheets, input methods and copying leave there and nobody typed."""

import unicodedata
from collections import Counter

_FULL_WIDTH = {0x3000: 0x20} | {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
_APOSTROPHES = ("'", "＇")

APOSTROPHE = "撇号 apostrophes"
EQUALS = '="…"'
INVISIBLE = "不可见字符 invisible characters"


def fold(cell: str) -> str:
    """Returns the cell half-width and without blanks around it."""
    return (cell if cell.isascii() else cell.translate(_FULL_WIDTH)).strip()


def clean(cell: str, counts: Counter[str]) -> str:
    """Returns the cell without marks of direction, zero-width characters and byte order marks, and without the
    apostrophe or the `="…"` by which spreadsheets say that a cell is text. Counts the cells that had them."""
    text = cell
    if not text.isascii():
        # Cf: format characters, which show nothing.
        text = "".join(character for character in text if unicodedata.category(character) != "Cf")
        if text != cell:
            counts[INVISIBLE] += 1
    text = text.strip()
    if text.startswith('="') and text.endswith('"') and len(text) > 2:
        text = text[2:-1].replace('""', '"').strip()
        counts[EQUALS] += 1
    if text.startswith(_APOSTROPHES):
        text = text[1:].strip()
        counts[APOSTROPHE] += 1
    return text
