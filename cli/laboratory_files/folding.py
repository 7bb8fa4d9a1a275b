"""Full-width characters and blanks, as spreadsheets and Chinese input methods leave them."""

_FULL_WIDTH = {0x3000: 0x20} | {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}


def fold(cell: str) -> str:
    """The cell half-width and without blanks around it."""
    return (cell if cell.isascii() else cell.translate(_FULL_WIDTH)).strip()
