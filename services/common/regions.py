"""The province-level divisions of GB/T 2260 (2019-04 revision) and the names of their health codes in 2022."""

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from services.common.errors import InvalidArgument, Text, Violation

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


def require_region(code: str, field: str = "region") -> Division:
    """The division with this code. Raises InvalidArgument with reason REGION_UNKNOWN, or REGION_REQUIRED when empty."""
    if not code:
        raise InvalidArgument(
            Violation(field, "REGION_REQUIRED", Text("须填写地区代码", "The region's code is required"))
        )
    division = divisions().get(code)
    if division is None:
        raise InvalidArgument(
            Violation(
                field,
                "REGION_UNKNOWN",
                Text("地区代码不存在，应为省级行政区划代码，如110000", "No such province-level code; one is 110000"),
            )
        )
    return division
