"""Open data: the figures of closed days as anybody may have them, small ones hidden, with a dictionary of the columns."""

# ruff: noqa: E501  # a text in two languages is one text

import csv
import io
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from itertools import groupby

from hutong.verdict.v1.scene_pb2 import Scene

from gateway.supervision.outcomes import Measure
from gateway.supervision.store.protocol import SupervisionStore
from gateway.supervision.store.values import Cell, Place, day_text
from gateway.supervision.suppression import LEAST, hidden
from services.common.errors import Text

HIDDEN = "x"
WHOLE_REGION = "ALL"
ON_PAGE = 5_000
_COUNTED = (
    Measure.RECOGNISED,
    Measure.RECOGNISED_BY_NOTICE,
    Measure.REFUSED,
    Measure.REFUSED_AGAINST_NOTICE,
    Measure.UNDETERMINED,
)
"""The measures of which places add up to a region: they exclude one another, so that none tells of another."""

COLUMNS: Mapping[str, Text] = {
    "day": Text("日，公历，UTC+8，形如 2022-08-05", "The calendar day in UTC+8, such as 2022-08-05"),
    "region": Text("省级行政区划代码（GB/T 2260）", "The province-level code, GB/T 2260"),
    "scene": Text(
        f"查验的场所；CODE 为健康码本身，{WHOLE_REGION} 为全地区合计",
        f"The place that asked; CODE is the health code itself, {WHOLE_REGION} the whole region",
    ),
    "recognised": Text("按本地规则认可的人数", "People recognised by the region's own rules"),
    "recognised_by_notice": Text(
        "仅因全国通知（2022-07-29）而认可的人数，即本地规则不认可者",
        "People recognised on the ground of the national notice of 2022-07-29 alone",
    ),
    "refused": Text("未认可且通知亦无异议的人数", "People not recognised, where the notice asks for nothing else"),
    "refused_against_notice": Text("违反通知而未认可的人数", "People refused although the notice binds"),
    "undetermined": Text(
        "因有来源未应答而无法判定的人数", "People whose answer could not be told, because a source was silent"
    ),
    "repeat_tests_avoided": Text(
        f"外地检测在本地获认可的次数，每次检测在一地只计一次，仅列于 {WHOLE_REGION} 行",
        f"Tests from elsewhere that were recognised here, each once in a region; in rows of {WHOLE_REGION} alone",
    ),
}
NOTES = (
    Text(
        "同一人在同一地区、同一类场所、同一结论，一日只计一次；合计为各场所之和。没有的行即全为 0。",
        "One person counts once a day for each answer at each kind of place of a region; a total is the sum of its places. A row that is not there has zeros alone.",
    ),
    Text(
        f"{HIDDEN} 为不公布：1 至 {LEAST - 1} 的数一律不公布；为使其不能由合计推出，同一合计下另有若干数、必要时连同合计一并不公布。空白为不适用。",
        f"{HIDDEN} is not published: figures from 1 to {LEAST - 1} never are; so that a total does not give them away, others of the same total are hidden beside them, and the total where need be. Empty: does not apply.",
    ),
)


def dictionary() -> bytes:
    """Returns the data dictionary as CSV: each column in Chinese and English, then the notes."""
    written = io.StringIO()
    writer = csv.writer(written)
    writer.writerow(["column", "zh", "en"])
    writer.writerows([name, text.zh, text.en] for name, text in COLUMNS.items())
    writer.writerows(["", text.zh, text.en] for text in NOTES)
    return b"\xef\xbb\xbf" + written.getvalue().encode()


def header() -> bytes:
    """Returns the first line of the figures, after a byte order mark, for spreadsheets."""
    return b"\xef\xbb\xbf" + ",".join(COLUMNS).encode() + b"\r\n"


async def open_data(store: SupervisionStore, first: int, last: int) -> AsyncIterator[bytes]:
    """Yields the figures of days, both included, as CSV, day by day: memory does not grow with them."""
    yield header()
    for day in range(first, last + 1):
        cells: list[Cell] = []
        after = Place(0, "", -1)
        while page := await store.figures("", day, day, after, ON_PAGE):
            cells += page
            after = Place(page[-1].day, page[-1].region, page[-1].scene)
        if lines := published(day, cells):
            yield lines


def published(day: int, cells: Iterable[Cell]) -> bytes:
    """Returns the lines of one day: by region its places, then the region as a whole. `cells` are by region."""
    written = io.StringIO()
    writer = csv.writer(written)
    for region, of_region in groupby(cells, key=lambda cell: cell.region):
        writer.writerows((day_text(day), region, *row) for row in _region(day, region, list(of_region)))
    return written.getvalue().encode()


def _region(day: int, region: str, cells: Sequence[Cell]) -> Iterator[Sequence[str]]:
    scenes = sorted({cell.scene for cell in cells})
    numbers = {(cell.scene, cell.measure): cell.number for cell in cells}
    columns: list[list[str]] = []
    whole_hidden = set[Measure]()
    for measure in _COUNTED:
        family = [numbers.get((scene, measure), 0) for scene in scenes]
        places, total = hidden(family, _order(day, region, measure, scenes))
        if total:
            whole_hidden.add(measure)
        columns.append(
            [
                *(HIDDEN if place in places else str(number) for place, number in enumerate(family)),
                HIDDEN if total else str(sum(family)),
            ]
        )
    for place, scene in enumerate(scenes):
        name = Scene.Name(scene).removeprefix("SCENE_") if scene else "CODE"  # type: ignore[arg-type]  # as stored
        yield [name, *(column[place] for column in columns), ""]
    avoided = sum(numbers.get((scene, Measure.REPEAT_TEST_AVOIDED), 0) for scene in scenes)
    # No more tests are avoided than people recognised: a great figure would tell of those that are hidden.
    secret = 0 < avoided < LEAST or (avoided and whole_hidden & {Measure.RECOGNISED, Measure.RECOGNISED_BY_NOTICE})
    yield [WHOLE_REGION, *(column[-1] for column in columns), HIDDEN if secret else str(avoided)]


def _order(day: int, region: str, measure: Measure, scenes: Sequence[int]) -> list[int]:
    """Returns the places in an order that changes from family to family and does not depend on its figures."""
    of = f"{day}/{region}/{int(measure)}"
    digests = [blake2b(f"{of}/{scene}".encode(), digest_size=8).digest() for scene in scenes]
    return sorted(range(len(scenes)), key=lambda place: digests[place])
