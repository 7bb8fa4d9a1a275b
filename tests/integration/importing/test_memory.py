"""However long a file is, neither the command nor the service that takes it needs more memory for it."""

import asyncio
import json
import sys
from asyncio.subprocess import DEVNULL
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.machine import peak_memory
from cli.samples.model import resident_id
from tests.testkit.servers.records_process import RecordsProcess
from tests.testkit.tools import ROOT

ROWS = 40_000
GROWTH_MIB = 8.0
"""What three times as many rows more may add: allocators and caches on a busy machine, less than the rows would."""
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


async def peak_of_import(address: str, file: Path) -> float:
    """Imports a file; the most memory the command had, in MiB."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "cli", "import", str(file), "--region", "430000", "--lab", "a", "--to", address),
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'protos'}"},
        cwd=ROOT,
        stdout=DEVNULL,
    )
    peak = 0.0
    ending = asyncio.create_task(process.wait())
    while not (await asyncio.wait({ending}, timeout=0.05))[0]:
        peak = max(peak, peak_memory(process.pid))
    assert 0 == ending.result()
    return peak


@pytest.mark.slow
@pytest.mark.postgres
@pytest.mark.parametrize(("lines", "rows"), [(csv, ROWS), (bundle, ROWS // 2)])
async def test_memory_does_not_grow_with_the_rows(
    postgres_url: str,
    tmp_path: Path,
    lines: Callable[[str, int], Iterator[str]],
    rows: int,
) -> None:
    """N rows and 4N rows, each in an import of its own: the peaks of the command and of the service are the same."""
    service = RecordsProcess("430000", postgres_url)
    await service.start()
    peaks = []
    # The first only fills what remembers what comes again and again.
    for run, count in (("warm", rows // 2), ("n", rows), ("4n", 4 * rows)):
        file = tmp_path / run
        file.write_text("".join(lines(run, count)), encoding="utf-8")
        peaks.append((await peak_of_import(service.address, file), peak_memory(service.pid)))
    await service.end()
    _, few, many = peaks
    said = f"command and service, MiB: {few}, then {many}"
    assert [True, True] == [GROWTH_MIB < more < less + GROWTH_MIB for less, more in zip(few, many, strict=True)], said
