"""A process that counts laboratories' figures is killed at random instants: nothing is counted twice, or not at all."""

import asyncio
import os
import random
import sys
from asyncio.subprocess import DEVNULL, PIPE

from hutong.records.v1.record_pb2 import TestResult

from services.records.domain.tally import read_tally
from services.records.quality.figure_counter import FigureCounter
from tests.testkit.builders.laboratory_quality import counting_of, days, listed
from tests.testkit.builders.records import person, result, sampling, submission
from tests.testkit.clocks import ManualClock
from tests.testkit.secret import SECRET
from tests.testkit.servers.records_service import Records, opened
from tests.testkit.tools import ROOT

ROUNDS = 12
RECORDS = 600

PROGRAM = """
import asyncio, os, sys
from services.records.store.opening import open_store
from services.records.quality.figure_counter import FigureCounter
from services.records.settings import Settings
from services.runtime.clock import system_clock

async def main():
    secret = os.environ["HUTONG_MESH_SECRET"]
    store = open_store(Settings(region="430000", mesh_secret=secret, store_url=sys.argv[1], store_migrate=True))
    counting = FigureCounter("dying", store, store.figures, system_clock)
    while await counting.step(3):
        print("counting", flush=True)

asyncio.run(main())
"""


async def fill(records: Records) -> None:
    """Samples, most of them with results, some contradicting others, some withdrawn."""
    ids = [f"S{n:04d}" for n in range(RECORDS)]
    who = {source_id: person(n % 97) for n, source_id in enumerate(ids)}
    await records.submit_many([submission(i, who[i], sampling(-20.0, laboratory=f"lab-{i[-1]}")) for i in ids])
    outcomes = (TestResult.TEST_RESULT_POSITIVE, *[TestResult.TEST_RESULT_NEGATIVE] * 6)
    await records.submit_many(
        [
            submission(i, who[i], result(-20.0, -19.0 + n / 40, outcomes[n % 7], laboratory=f"lab-{i[-1]}"))
            for n, i in enumerate(ids[: RECORDS * 9 // 10])
        ]
    )
    for source_id in ids[:20]:
        await records.retract(source_id, 2)


async def test_killed_at_random_instants(store_url: str) -> None:
    """Counters and cursor move together, whenever the process dies, so that in the end the figures are the records'."""
    clock = ManualClock()
    async with opened(store_url) as store:
        await fill(Records(store, clock))
    chance = random.Random(7)
    environ = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'protos'}", "HUTONG_MESH_SECRET": SECRET}
    stood: list[int] = []
    for _ in range(ROUNDS):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", PROGRAM, store_url, env=environ, stdout=PIPE, stderr=DEVNULL
        )
        assert process.stdout is not None
        assert b"counting\n" == await process.stdout.readline()
        await asyncio.sleep(chance.uniform(0.0, 0.1))
        process.kill()
        await process.wait()
        async with opened(store_url) as store, store.figures.reading() as counts:
            progress = await counts.progress()
            stood.append(progress.sequence)
            held = (await counts.tallies_between(0, 1 << 20)).values()
            # Of samples alone as many records as changes are counted; of what follows none is new.
            assert min(progress.sequence, RECORDS) == sum(read_tally(body).records for body in held)
    assert sorted(stood) == stood
    assert 3 < len(set(stood)), stood
    async with opened(store_url) as store:
        records = Records(store, clock)
        counting: FigureCounter = counting_of(records)
        while (standing := await counting.step()).sequence < standing.head:
            pass
        asked = {"days": days("2022-08-03", "2022-08-06")}
        live = await listed(records, **asked)  # type: ignore[arg-type]  # one dictionary of many kinds
        assert await listed(records, clock.now, **asked) == live  # type: ignore[arg-type]
        assert RECORDS == sum(one["records"] for one in live)
        assert sum(one.get("discordant_pairs", 0) for one in live) > 50
