"""The page of A4: what the certificate says, for a person to read, and its QR code, for a verifier."""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from io import BytesIO
from itertools import groupby
from pathlib import Path
from threading import Lock

from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

from services.certificates.claims import Claims
from services.certificates.pictures import QUIET_MODULES, qr_code
from services.certificates.schema.contents import Contents, Test
from services.common.errors import Text
from services.common.instants import CST

CHINESE, LATIN = "hutong", "Vera"
"""Our font has no Latin letters; those are of Bitstream Vera, which comes with reportlab. Both go into the file."""
_WIDTH, _HEIGHT = A4
_MARGIN = 22 * mm
_QR_SIDE = 82 * mm
_LARGEST, _SMALLEST = 12.0, 7.0

_ONE_AT_A_TIME = Lock()
"""The library keeps for each font which of its letters a file has."""
_TITLE = Text("核酸检测证明", "Nucleic-acid test certificate")
_NOTE = (
    Text(
        "以二维码为准：任何 HCERT（欧盟数字证书规范）阅读器均可核验签名。",
        "The QR code counts: any reader of HCERTs (EU Digital COVID Certificate) verifies its signature.",
    ),
    Text(
        "证书有效期不等于各地认可的期限；结果更正或撤回后，本证明随即作废。",
        "How long a region recognises the result is another question; a result that is withdrawn makes this void.",
    ),
)


@lru_cache(1)
def _letters() -> Mapping[str, frozenset[int]]:
    """Returns the letters of each font, which are registered once: reading them takes longer than drawing a page."""
    fonts = {LATIN: TTFont(LATIN, "Vera.ttf"), CHINESE: TTFont(CHINESE, str(Path(__file__).with_name("font.ttf")))}
    for font in fonts.values():
        pdfmetrics.registerFont(font)
    return {name: frozenset(font.face.charToGlyph) for name, font in fonts.items()}


def _font_of(letter: str) -> str | None:
    return next((name for name, letters in _letters().items() if ord(letter) in letters), None)


def _runs(text: str) -> Iterator[tuple[str, str]]:
    """Yields the pieces of a text that one font has, with its name; what none has is left out."""
    for font, letters in groupby(text, _font_of):
        if font is not None:
            yield font, "".join(letters)


def _width(text: str, size: float) -> float:
    return sum(pdfmetrics.stringWidth(piece, font, size) for font, piece in _runs(text))


def _draw(canvas: Canvas, x: float, y: float, text: str, size: float) -> None:
    for font, piece in _runs(text):
        canvas.setFont(font, size)
        canvas.drawString(x, y, piece)
        x += pdfmetrics.stringWidth(piece, font, size)


def _draw_centred(canvas: Canvas, y: float, text: str, size: float) -> None:
    _draw(canvas, (_WIDTH - _width(text, size)) / 2, y, text, size)


def certificate_pdf(text: str, claims: Claims, contents: Contents) -> bytes:
    """Returns a page that shows a certificate of a test. Instants are shown in UTC+8."""
    with _ONE_AT_A_TIME:
        return _page(text, claims, contents)


def _page(text: str, claims: Claims, contents: Contents) -> bytes:
    _letters()
    file = BytesIO()
    # With no date of its own, the same certificate has the same page.
    canvas = Canvas(
        file,
        pagesize=A4,
        invariant=True,
        pageCompression=1,
        lang="zh-CN",
        initialFontName=LATIN,  # type: ignore[arg-type]  # a name; the stubs take it for a number
    )
    canvas.setTitle(f"{_TITLE.zh} {_TITLE.en}")
    canvas.setAuthor("hutong")
    _head(canvas)
    bottom = _draw_code(canvas, text, _HEIGHT - 58 * mm)
    bottom = _draw_rows(canvas, _rows(claims, contents), bottom - 12 * mm)
    _draw_notes(canvas, bottom)
    canvas.showPage()
    canvas.save()
    return file.getvalue()


def _head(canvas: Canvas) -> None:
    _draw_centred(canvas, _HEIGHT - 34 * mm, _TITLE.zh, 24)
    _draw_centred(canvas, _HEIGHT - 43 * mm, _TITLE.en, 13)
    canvas.setLineWidth(0.8)
    canvas.line(_MARGIN, _HEIGHT - 49 * mm, _WIDTH - _MARGIN, _HEIGHT - 49 * mm)


def _draw_code(canvas: Canvas, text: str, top: float) -> float:
    """Draws the QR code as rectangles, one for each run of dark modules, and returns where it ends."""
    matrix = qr_code(text).matrix
    module = _QR_SIDE / (len(matrix) + 2 * QUIET_MODULES)
    left = (_WIDTH - _QR_SIDE) / 2
    path = canvas.beginPath()
    for number, row in enumerate(matrix):
        y = top - (number + 1 + QUIET_MODULES) * module
        start: int | None = None
        for column, dark in enumerate([*row, 0]):
            if dark and start is None:
                start = column
            elif not dark and start is not None:
                # A hair more than its module: viewers draw seams between what only touches.
                x = left + (start + QUIET_MODULES) * module
                path.rect(x, y, (column - start) * module, module * 1.01)
                start = None
    canvas.drawPath(path, stroke=0, fill=1)
    return top - _QR_SIDE


def _rows(claims: Claims, contents: Contents) -> Iterator[tuple[Text, str]]:
    name = contents.nam
    letters = " ".join(part for part in (name.fnt, name.gnt) if part).replace("<", " ")
    written = " ".join(part for part in (name.fn, name.gn) if part)
    yield Text("姓名", "Name"), "  ".join(part for part in (written, letters) if part)
    yield Text("出生日期", "Date of birth"), contents.dob[:10] or "—"
    for test in contents.t or ():
        yield from _test_rows(test)
    yield Text("签发", "Issued"), f"{claims.issued_at.astimezone(CST):%Y-%m-%d %H:%M} (UTC+8)"
    yield Text("证书有效至", "Valid until"), f"{claims.expires_at.astimezone(CST):%Y-%m-%d %H:%M} (UTC+8)"


def _test_rows(test: Test) -> Iterator[tuple[Text, str]]:
    kind = "核酸检测  Nucleic acid (NAAT)" if test.nucleic_acid else "抗原检测  Rapid antigen"
    yield Text("检测种类", "Test"), kind
    yield Text("采样时间", "Sampled"), f"{test.sampled_at.astimezone(CST):%Y-%m-%d %H:%M} (UTC+8)"
    yield Text("结果", "Result"), "阳性  Detected" if test.positive else "阴性  Not detected"
    yield Text("检测机构", "Laboratory"), test.tc or "—"
    yield Text("签发机构", "Issuer"), f"{test.is_} ({test.co})"
    yield Text("证书编号", "Identifier"), test.ci


def _draw_rows(canvas: Canvas, rows: Iterator[tuple[Text, str]], top: float) -> float:
    label, value = _MARGIN, _MARGIN + 52 * mm
    y = top
    for name, said in rows:
        canvas.setFillGray(0.35)
        _draw(canvas, label, y, f"{name.zh}  {name.en}", 9.5)
        canvas.setFillGray(0)
        size = _LARGEST
        while size > _SMALLEST and _width(said, size) > _WIDTH - _MARGIN - value:
            size -= 0.5
        _draw(canvas, value, y, said, size)
        y -= 8.2 * mm
    return y


def _draw_notes(canvas: Canvas, top: float) -> None:
    canvas.setLineWidth(0.4)
    canvas.line(_MARGIN, top + 3 * mm, _WIDTH - _MARGIN, top + 3 * mm)
    canvas.setFillGray(0.25)
    y = top - 3 * mm
    for note in _NOTE:
        for line, size in ((note.zh, 9.5), (note.en, 7.5)):
            _draw(canvas, _MARGIN, y, line, size)
            y -= 5 * mm
        y -= 1.5 * mm
