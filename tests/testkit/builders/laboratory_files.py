"""Laboratories' files, row by row."""

from collections.abc import Iterator
from pathlib import Path

from cli.samples.model import resident_id

_ROOT = Path(__file__).resolve().parents[3]
LABS = _ROOT / "tests" / "data" / "laboratories"
"""Files of laboratories: invented people."""
SHARED = _ROOT.parent / "shared" / "data"
"""Further files that may lie beside a checkout."""


CHINESE = "样本编号,姓名,证件类型,证件号码,采样时间,报告时间,检测结果,检测方式"


def good_lines(number: int) -> Iterator[str]:
    """A header and as many good rows."""
    yield CHINESE
    person = resident_id("430102", "19050505", 5)
    for row in range(number):
        yield f"G{row:06d},某人,居民身份证,{person},2022-08-05 13:{row % 60:02d},2022-08-06 03:40,阴性,10混1"


PERSON = resident_id("430102", "19030303", 33)


def row(**changes: str) -> str:
    """A good row with these changes."""
    cells = {
        "id": "D1",
        "name": "某人",
        "type": "居民身份证",
        "number": PERSON,
        "sampled": "2022-08-05 13:20",
        "reported": "2022-08-06 03:40",
        "result": "阴性",
        "tube": "10混1",
    }
    return ",".join((cells | changes).values())
