"""Tells what came of a simulation: a table, CSV, and the bars of its chart."""

import csv
from collections.abc import Iterable, Mapping
from typing import TextIO

from cli.simulation.chart import Bar
from services.common.errors import Text
from services.verdict.domain.evidence.values import Scene
from services.verdict.domain.reasons.wording import region_name, scene_name
from services.verdict.policy.tools.simulation import Figures, Group

COLUMNS = ("region", "scene", "origin", "ground", "losing", "gaining", "repeat_tests_owed", "repeat_tests_saved")

HEADER = (
    ("地区", "Region"),
    ("场所", "Scene"),
    ("来源", "Origin"),
    ("依据", "Ground"),
    ("失去", "Lose"),
    ("获得", "Gain"),
    ("须重检", "Tests owed"),
    ("免重检", "Tests saved"),
)
"""Of the columns of the table; the first four are words."""


def in_order(groups: Mapping[Group, Figures]) -> list[tuple[Group, Figures]]:
    """Returns the groups, by region and scene, those of the most people first."""
    return sorted(groups.items(), key=_order)


def _order(item: tuple[Group, Figures]) -> tuple[str, int, int, str, str]:
    group, figures = item
    return (group.region, group.scene, -(figures.losing + figures.gaining), group.origin, group.ground)


def rows(groups: Mapping[Group, Figures]) -> Iterable[tuple[str, ...]]:
    """Yields the rows of the table."""
    for group, figures in in_order(groups):
        origin = region_name(group.origin).zh if group.origin else "-"
        place = scene_name(group.scene).zh
        yield (region_name(group.region).zh, place, origin, group.ground, *(f"{number:,}" for number in figures))


def write_csv(file: TextIO, groups: Mapping[Group, Figures]) -> None:
    """Writes the figures, one group a row, regions and scenes by their codes."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    for group, figures in in_order(groups):
        scene = "" if not group.scene else Scene(group.scene).name
        writer.writerow([group.region, scene, group.origin, group.ground, *figures])


def bars(groups: Mapping[Group, Figures]) -> list[Bar]:
    """Returns a bar for each region and scene."""
    sums: dict[tuple[str, int], Figures] = {}
    for group, figures in in_order(groups):
        place = (group.region, group.scene)
        sums[place] = sums.get(place, Figures()).plus(figures)
    return [
        Bar(_place(region, scene), figures.losing, figures.gaining) for (region, scene), figures in sorted(sums.items())
    ]


def _place(region: str, scene: int) -> Text:
    name, place = region_name(region), scene_name(scene)
    return Text(f"{name.zh}·{place.zh}", f"{name.en}, {place.en}")
