"""A chart of a simulation, as SVG: for each region and scene who loses, to the left, and who gains, to the right."""

from collections.abc import Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape

from services.common.errors import Text

_WIDTH, _LABEL, _ROW, _TOP = 960, 300, 30, 84
_LOSE, _GAIN, _INK, _SOFT = "#b3261e", "#1b6e3c", "#1c1b1f", "#79747e"


class Bar(NamedTuple):
    """One row."""

    label: Text
    losing: int
    gaining: int


def chart(title: Text, bars: Sequence[Bar]) -> str:
    """Returns the chart. It needs no script and no font of its own, and every number stands beside its bar."""
    height = _TOP + _ROW * max(len(bars), 1) + 24
    most = max([1, *(max(bar.losing, bar.gaining) for bar in bars)])
    middle = _LABEL + (_WIDTH - _LABEL) // 2
    # Room for the number at the end of the longest bar.
    scale = (middle - _LABEL - 90) / most
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" font-family="sans-serif"'
        f' font-size="14"><title>{escape(title.zh)} {escape(title.en)}</title>',
        f'<rect width="{_WIDTH}" height="{height}" fill="#fff"/>',
        _text(16, 26, title.zh, weight="bold"),
        _text(16, 46, title.en, fill=_SOFT),
        _text(middle - 8, 70, "失去认可 lose", fill=_LOSE, anchor="end"),
        _text(middle + 8, 70, "获得认可 gain", fill=_GAIN),
    ]
    for number, bar in enumerate(bars):
        top = _TOP + number * _ROW
        parts.append(_text(16, top + 18, f"{bar.label.zh} {bar.label.en}"))
        for count, side, colour in ((bar.losing, -1, _LOSE), (bar.gaining, 1, _GAIN)):
            width = round(count * scale, 1)
            left, end = (middle - width, middle - width - 6) if side < 0 else (middle, middle + width + 6)
            anchor = "end" if side < 0 else "start"
            parts.append(f'<rect x="{left}" y="{top + 4}" width="{width}" height="{_ROW - 10}" fill="{colour}"/>')
            parts.append(_text(end, top + 18, f"{count:,}", fill=_SOFT, anchor=anchor))
    if not bars:
        parts.append(_text(16, _TOP + 18, "无人受影响 nobody is affected", fill=_SOFT))
    parts.append(f'<line x1="{middle}" x2="{middle}" y1="{_TOP}" y2="{height - 20}" stroke="{_SOFT}"/></svg>')
    return "\n".join(parts) + "\n"


def _text(x: float, y: float, words: str, *, fill: str = _INK, anchor: str = "start", weight: str = "normal") -> str:
    return (
        f'<text x="{round(x, 1)}" y="{y}" fill="{fill}" text-anchor="{anchor}" font-weight="{weight}">'
        f"{escape(words)}</text>"
    )
