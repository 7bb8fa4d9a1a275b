"""However long a file is, neither the command nor the service that takes it needs more memory for it."""

import asyncio
import json
import sys
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hutong.records.v1.laboratory_quality_service_pb2 import ListLaboratoryQualityRequest

from cli.samples.model import resident_id
from tests.testkit.heap import most_in_use, watched
from tests.testkit.servers.records_process import RecordsProcess
from tests.testkit.tools import ROOT

ROWS = 10_000
GROWTH_MIB = 6.0
"""What three times as many rows more may add: less than the rows would, as small as they can be kept."""
PERSON = resident_id("430102", "19050505", 5)


def csv(run: str, rows: int) -> Iterator[str]:
    """A CSV file."""
    yield "样本编号,姓名,证件类型,证件号码,采样时间,报告时间,检测结果,检测方式\n"
    for row in range(rows):
        yield f"{run}-{row:09d},某人,居民身份证,{PERSON},2022-08-05 13:{row % 60:02d},2022-08-06 03:40,阴性,10混1\n"


def bundle(run: str, rows: int) -> Iterator[str]:
    """A FHIR Bundle of one line."""
    yield '{"resourceType": "Bundle", "type": "collection", "entry": ['
    for row in range(rows):
        resource = {
            "resourceType": "Observation",
            "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": "94500-6"}]},
            "identifier": [{"value": f"{run}-{row:09d}"}],
            "subject": {"identifier": {"type": {"coding": [{"code": "NNCHN"}]}, "value": PERSON}},
            "effectiveDateTime": f"2022-08-05T13:{row % 60:02d}:00+08:00",
            "issued": "2022-08-06T03:40:00+08:00",
            "valueString": "阴性",
        }
        yield ("," if row else "") + json.dumps({"resource": resource})
    yield "]}"


async def heap_of_import(address: str, file: Path, figures: Path) -> float:
    """Imports a file; returns the most memory the command had in use, in MiB."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "cli", "import", str(file), "--region", "430000", "--lab", "a", "--to", address),
        env=watched(figures),
        cwd=ROOT,
        stdout=DEVNULL,
    )
    assert 0 == await process.wait()
    return most_in_use(figures, process.pid)


@asynccontextmanager
async def counted_meanwhile(calls: Any) -> AsyncIterator[None]:
    """Has what comes in counted every second, as laboratories' figures are asked for, and all of it in the end.

    Left alone, the service counts once in ten seconds: in a long import, and in a short one only by chance.
    """

    async def count() -> None:
        while True:
            await asyncio.sleep(1)
            await calls.ListLaboratoryQuality(ListLaboratoryQualityRequest())

    counting = asyncio.create_task(count())
    try:
        yield
    finally:
        counting.cancel()
        await asyncio.wait([counting])
    if not counting.cancelled():
        counting.result()
    await calls.ListLaboratoryQuality(ListLaboratoryQualityRequest())


@pytest.mark.slow
@pytest.mark.postgres
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("lines", "rows"), [(csv, ROWS), (bundle, ROWS)])
async def test_memory_does_not_grow_with_the_rows(
    postgres_url: str,
    tmp_path: Path,
    lines: Callable[[str, int], Iterator[str]],
    rows: int,
) -> None:
    """N rows and 4N rows, each in an import of its own: the command and the service have no more in use, the service
    while it counts what comes in."""
    figures = tmp_path / "figures"
    figures.mkdir()
    service = RecordsProcess("430000", postgres_url, **watched(figures))
    await service.start()
    most = []
    # The first only fills what remembers what comes again and again. N rows come in three times, so that counting meets
    # as many batches as in the long import; what the service has most in use is over its whole life.
    for run, count in (("warm", rows // 2), *((f"n{turn}", rows) for turn in range(3)), ("4n", 4 * rows)):
        file = tmp_path / run
        file.write_text("".join(lines(run, count)), encoding="utf-8")
        async with counted_meanwhile(service.calls):
            command = await heap_of_import(service.address, file, figures)
        most.append((command, most_in_use(figures, service.pid)))
    await service.end()
    *_, few, many = most
    said = f"command and service, MiB: {few}, then {many}"
    assert [True, True] == [GROWTH_MIB < more < less + GROWTH_MIB for less, more in zip(few, many, strict=True)], said
