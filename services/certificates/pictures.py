"""The QR code of a certificate: alphanumeric mode, level Q where that stays readable, else M (hcert-spec 4.4)."""

from io import BytesIO
from pathlib import Path

import segno

MODULE_PIXELS = 4
QUIET_MODULES = 4
LARGEST_AT_LEVEL_Q = 25
"""The largest version (117 modules a side) that a phone's camera reads from a screen at arm's length."""


def qr_code(text: str) -> segno.QRCode:
    """Returns a text's QR code."""
    code = segno.make_qr(text, error="q", boost_error=False)
    if int(code.version) > LARGEST_AT_LEVEL_Q:
        code = segno.make_qr(text, error="m", boost_error=False)
    return code


def save_qr_code(text: str, path: Path) -> None:
    """Writes a text's QR code, as the file's suffix says: `.svg` or `.png`."""
    qr_code(text).save(str(path), scale=MODULE_PIXELS, border=QUIET_MODULES)


def qr_svg(text: str) -> str:
    """Returns a text's QR code as an SVG image that scales."""
    image = BytesIO()
    qr_code(text).save(image, kind="svg", border=QUIET_MODULES, light="#fff", xmldecl=False, omitsize=True)
    return image.getvalue().decode().strip()


def qr_png(text: str) -> bytes:
    """Returns a text's QR code as a PNG image."""
    image = BytesIO()
    qr_code(text).save(image, kind="png", scale=MODULE_PIXELS, border=QUIET_MODULES)
    return image.getvalue()
