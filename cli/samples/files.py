"""The sample laboratory files in the package: one of each kind that laboratories send."""

from dataclasses import dataclass
from pathlib import Path

_FOLDER = Path(__file__).parent / "laboratories"


@dataclass(frozen=True, slots=True)
class SampleFile:
    """One file, the region whose records it holds and the laboratory that sent it."""

    name: str
    region: str
    laboratory: str

    @property
    def path(self) -> Path:
        """Returns its path."""
        return _FOLDER / self.name


FILES = (
    SampleFile("430000-gb18030.csv", "430000", "430000-sample"),
    SampleFile("320000-utf8-bom.csv", "320000", "320000-sample"),
    SampleFile("110000-en.csv", "110000", "110000-sample"),
)
"""Hunan in GB18030, Jiangsu (not on the mesh: kept by the nation) in UTF-8 with a mark, Beijing in English."""
