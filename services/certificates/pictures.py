"""The QR code of a certificate: alphanumeric mode, level Q where that stays readable, else M (hcert-spec 4.4)."""

from pathlib import Path

import segno

MODULE_PIXELS = 4
LARGEST_AT_LEVEL_Q = 25
"""The largest version (117 modules a side) that a phone's camera reads from a screen at arm's length."""


def save_qr_code(text: str, path: Path) -> None:
    """Writes a text's QR code, as the file's suffix says: `.svg` or `.png`."""
    code = segno.make_qr(text, error="q", boost_error=False)
    if int(code.version) > LARGEST_AT_LEVEL_Q:
        code = segno.make_qr(text, error="m", boost_error=False)
    code.save(str(path), scale=MODULE_PIXELS, border=4)
