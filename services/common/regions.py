"""The province-level divisions of GB/T 2260 (2019-04 revision) and the names of their health codes in 2022."""

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from services.common.errors import Text

NATION = "nation"
"""What stands in a region's place for the whole country: the national records, the national notice."""

NATION = "nation"
"""Where a province-level code stands, this stands for the whole nation: its store, its source, its feed."""


@dataclass(frozen=True, slots=True)
class Division:
    """One division.

    `health_code` is empty where it had none, `bloc` where it is in none. `interop_mode` is SHARE, CONVERT or ADOPT, the
    three modes of the national platform. `scope_switch`: its holders switch between the provincial and the national
    database.
    """

    code: str
    name: Text
    health_code: str
    bloc: str
    interop_mode: str
    scope_switch: bool


@cache
def divisions() -> dict[str, Division]:
    """All 34 divisions by code, ascending."""
    table = files(__package__).joinpath("regions.csv").read_text(encoding="utf-8")
    rows = sorted(csv.DictReader(table.splitlines()), key=lambda row: row["code"])
    return {
        row["code"]: Division(
            code=row["code"],
            name=Text(row["name_zh"], row["name_en"]),
            health_code=row["health_code"],
            bloc=row["bloc"],
            interop_mode=row["interop_mode"],
            scope_switch=row["scope_switch"] == "yes",
        )
        for row in rows
    }
