"""A laboratory's file of a million rows: rows a second of `hutong import`, beside what the service takes at most.

Yardstick: the same service fed with the same rows as ready-made messages, in batches of the same size over one stream,
so the ratio is what reading a file costs; what the service's own share is, beside a bare COPY, `hutong bench intake`
tells. Ours: the command, as a process, from its start to its end: the file's encoding is found out, every cell read by
the rules of docs/laboratory-files.md, every acknowledgement written to the journal. Either begins with an empty
database of one PostgreSQL, which keeps fsync on, and a service newly started. Memory is the most that the command and
the service ever had resident.
"""

import asyncio
import random
import sys
import tempfile
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from time import perf_counter

import asyncpg
from hutong.records.v1.intake_service_pb2 import StreamRecordsRequest

from bench.benchmarks.intake import sent
from bench.machine import peak_memory
from bench.protocol import CannotRunError, in_turn
from bench.report import Measure, Report, Series
from bench.servers.postgres import PostgresServer, start
from bench.servers.records import Serving, serving
from cli.importing.batches import Destination, batches, request
from cli.importing.opening import open_laboratory_file
from cli.importing.sending import RecordIntake
from cli.mesh.child import inherited_environment
from cli.samples.model import resident_id
from services.common.errors import Text
from services.runtime.rpc.channel import remote
from services.runtime.rpc.connection import Connection

ROWS = 1_000_000
REGION = "430000"
RATIO = 0.5
MOST_MIB = 128.0
"""What either side may use, whatever the file's length."""
_LOOK_SECONDS = 0.1
_TUBES = ("单检", "10混1")
_HEADER = "样本编号,姓名,证件类型,证件号码,采样时间,报告时间,检测结果,检测方式"
_DESTINATION = Destination(REGION, "430000-bench", REGION)


def _lines(rng: random.Random) -> Iterator[str]:
    """A city's samples of a day, in the order in which they were taken, each of a person of its own."""
    yield f"{_HEADER}\n"
    for number in range(ROWS):
        birth = f"{rng.randrange(1850, 1910)}{rng.randrange(1, 13):02d}{rng.randrange(1, 29):02d}"
        person = resident_id("430102", birth, rng.randrange(1000))
        minute = number * 1440 // ROWS
        later = minute + rng.randrange(240)
        yield (
            f"2208{number:09d},某人,居民身份证,{person},2022-08-05 {minute // 60:02d}:{minute % 60:02d},"
            f"2022-08-0{6 + later // 1440} {later // 60 % 24:02d}:{later % 60:02d},阴性,{rng.choice(_TUBES)}\n"
        )


def _write(file: Path) -> None:
    with file.open("w", encoding="utf-8") as out:
        out.writelines(_lines(random.Random(20220805)))


@asynccontextmanager
async def _empty_service(server: PostgresServer) -> AsyncIterator[Serving]:
    """A service over an empty database, which holds every row afterwards."""
    from services.records.store.schemas import SCHEMAS
    from services.runtime.storage.migration_command import migrate

    url = await server.create_database()
    try:
        await migrate(SCHEMAS, url)
        async with serving(url, REGION) as records:
            async with Connection(records.address) as channel:
                await asyncio.wait_for(channel.ready(), 30)
            yield records
        connection = await asyncpg.connect(url)
        try:
            stored = await connection.fetchval("select sequence from feed_head")
        finally:
            await connection.close()
        if stored != ROWS:
            raise RuntimeError(f"{stored} of {ROWS} rows were stored")
    finally:
        await server.drop_database(url)


class _Ready:
    """The yardstick. The messages are kept as bytes: as messages they would take several times the memory."""

    def __init__(self, server: PostgresServer, file: Path) -> None:
        self._server = server
        with open_laboratory_file(file) as opened:
            self._messages = [
                request(number, batch.samples, _DESTINATION).SerializeToString()
                for number, batch in enumerate(batches(opened.rows), start=1)
            ]

    async def measure(self) -> float:
        """Rows a second of one stream."""
        async with _empty_service(self._server) as records, Connection(records.address) as channel:
            await asyncio.wait_for(channel.ready(), 30)
            calls = remote(RecordIntake, channel, service="records", caller="bench")
            began = perf_counter()
            await sent(calls, map(StreamRecordsRequest.FromString, self._messages))
            return ROWS / (perf_counter() - began)


class _Imported:
    """Ours. `peaks` are those of the command and of the service, in MiB, one pair for each measurement."""

    def __init__(self, server: PostgresServer, file: Path) -> None:
        self._server = server
        self._file = file
        self.peaks: list[tuple[float, float]] = []

    async def measure(self) -> float:
        """Rows a second of one import."""
        async with _empty_service(self._server) as records:
            seconds, peak = await self._run(records.address)
            self.peaks.append((peak, peak_memory(records.pid)))
            return ROWS / seconds

    async def _run(self, address: str) -> tuple[float, float]:
        arguments = "import", str(self._file), "--region", REGION, "--lab", _DESTINATION.laboratory, "--to", address
        began = perf_counter()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "cli", *arguments), env=inherited_environment(), stdout=DEVNULL, stderr=PIPE
        )
        assert process.stderr is not None
        saying = asyncio.create_task(process.stderr.read())
        peak = 0.0
        while not (await asyncio.wait({saying}, timeout=_LOOK_SECONDS))[0]:
            peak = max(peak, peak_memory(process.pid))
        if await process.wait():
            raise RuntimeError(saying.result().decode())
        return perf_counter() - began, peak


class Import:
    """See the module."""

    title = Text("导入检验机构文件：百万行", "A laboratory's file: a million rows")

    async def run(self, rounds: int) -> Report:
        """Measures both in turn. Raises CannotRunError without a PostgreSQL."""
        server = await asyncio.to_thread(start, durable=True)
        try:
            with tempfile.TemporaryDirectory(prefix="hutong-bench-") as folder:
                file = Path(folder, "laboratory.csv")
                await asyncio.to_thread(_write, file)
                return await _measured(server, file, rounds)
        finally:
            await asyncio.to_thread(server.stop)


async def _measured(server: PostgresServer, file: Path, rounds: int) -> Report:
    imported = _Imported(server, file)
    try:
        yardstick, ours = await in_turn(rounds, _Ready(server, file).measure, imported.measure)
    except TimeoutError:
        raise CannotRunError("记录服务未能启动", "The records service did not start") from None
    command, service = zip(*imported.peaks[-rounds:], strict=True)
    return Report(
        (
            Measure(
                "rows/s",
                Series(Text("hutong import", "hutong import"), ours),
                Series(Text("现成消息，不读文件", "ready-made messages, no file read"), yardstick),
                higher_is_better=True,
                ratio_bound=RATIO,
            ),
            Measure("MiB", Series(Text("导入命令的内存峰值", "most memory of the command"), command), bound=MOST_MIB),
            Measure("MiB", Series(Text("记录服务的内存峰值", "most memory of the service"), service), bound=MOST_MIB),
        )
    )


BENCHMARK = Import()
