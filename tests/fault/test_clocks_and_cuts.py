"""No code that a change has outdated is shown as current for longer than the stated bound, whichever wire is cut and
whatever the clocks of its two ends show."""

import asyncio
import contextlib
import itertools
import os
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import pytest
from hutong.common.v1.subject_pb2 import Document, DocumentType, Purpose, Subject
from hutong.gateway.v1.health_code_service_pb2 import Freshness, HealthCodeQuery, ShowHealthCodeRequest
from hutong.records.v1.record_pb2 import Channel, RecordContent, RecordKind, TestResult, Tube
from hutong.records.v1.record_write_service_pb2 import AmendRecordRequest, RecordSubmission, SubmitRecordRequest
from hutong.verdict.v1.verdict_pb2 import Status

from gateway.codes.cache.entry import BOUND_SECONDS
from services.common.errors import ServiceError
from services.common.instants import HOUR, Instant, to_timestamp
from services.runtime.clock import system_clock
from tests.testkit.faults.recording import Measured
from tests.testkit.servers.skewed_mesh import ELSEWHERE, HOME, NATION, SkewedMesh, skewed_mesh

pytestmark = [pytest.mark.mesh, pytest.mark.slow, pytest.mark.timeout(900)]

SKEWS = (-180.0, 0.0, 180.0)
WHOLE = "HUTONG_TEST_EVERY_CLOCK"
"""Set it to drive every wire with every pair of clocks; otherwise a selection that has each wire, each clock of each of
its ends, and each order of cut and change."""
AT_ONCE = 11
LATE = BOUND_SECONDS + 3.0
"""Looked at for so long after a change, in seconds: what is outdated must not come back either."""
POLL_SECONDS = 0.1
PATIENCE_SECONDS = 20.0
REFUSED_SECONDS = 4.0
SLACK_SECONDS = 1.0
"""An answer that was true when it left may take so long to be received while many meshes share a busy machine."""

Ends = tuple[str, str]
WIRES: Mapping[str, tuple[Ends, ...]] = {
    "nation and region": ((NATION, HOME),),
    "lookup and region": (("lookup", HOME),),
    "gateway and region": (("gateway", HOME),),
    "region and everybody": ((NATION, HOME), ("lookup", HOME), ("gateway", HOME)),
    "lookup and nation": (("lookup", NATION),),
    "gateway and nation": (("gateway", NATION),),
    "verdict and lookup": (("verdict", "lookup"),),
    "gateway and lookup": (("gateway", "lookup"),),
    "gateway and verdict": (("gateway", "verdict"),),
    "gateway and everybody": tuple(("gateway", other) for other in (NATION, HOME, ELSEWHERE, "lookup", "verdict")),
}
_CURRENT = (Freshness.FRESHNESS_COMPUTED, Freshness.FRESHNESS_CACHED)


SERVICES = (HOME, NATION, "lookup", "verdict", "gateway")
Clocks = tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Case:
    """One cut, before a change or right after it, and by how many seconds which clocks are ahead."""

    wire: str
    clocks: Clocks
    before: bool


def _at_its_ends(wire: str, skews: Sequence[float]) -> Clocks:
    return tuple(zip(WIRES[wire][0], skews, strict=True))


EVERY = [
    *(
        Case(wire, _at_its_ends(wire, skews), before)
        for wire in WIRES
        for skews in itertools.product(SKEWS, SKEWS)
        for before in (True, False)
    ),
    # A clock elsewhere than at the ends of what is cut.
    *(
        Case(wire, ((service, skew),), True)
        for wire, cut in WIRES.items()
        for service in SERVICES
        if service not in cut[0]
        for skew in SKEWS
        if skew
    ),
]
SELECTED = [
    *(
        Case(wire, _at_its_ends(wire, skews), (number + position) % 2 == 0)
        for number, wire in enumerate(WIRES)
        for position, skews in enumerate([(-180.0, 180.0), (180.0, -180.0)])
    ),
    Case("nation and region", _at_its_ends("nation and region", (0.0, 180.0)), True),
    Case("region and everybody", _at_its_ends("region and everybody", (180.0, 180.0)), True),
]


_DOCUMENT = Document(type=DocumentType.DOCUMENT_TYPE_PASSPORT, number="FAULT0001")


def _content(hours: int) -> RecordContent:
    sampled = system_clock() - hours * HOUR
    return RecordContent(
        kind=RecordKind.RECORD_KIND_RESULT,
        sampled_at=to_timestamp(Instant(sampled)),
        reported_at=to_timestamp(Instant(sampled + HOUR)),
        result=TestResult.TEST_RESULT_NEGATIVE,
        tube=Tube.TUBE_SINGLE,
        laboratory="430000-fault",
        site=HOME,
        channel=Channel.CHANNEL_LABORATORY,
    )


async def _shown(mesh: SkewedMesh, region: str) -> tuple[Freshness.ValueType, int] | None:
    """Returns the freshness of the code shown and the revision it rests on; None when there is none, or it says that
    somebody did not answer."""
    query = HealthCodeQuery(document=_DOCUMENT, region=region)
    request = ShowHealthCodeRequest(query=query, purpose=Purpose.PURPOSE_SHOW_CODE)
    try:
        async with asyncio.timeout(2.0):
            response = await mesh.gateway.ShowHealthCode(request)
    except (ServiceError, TimeoutError):
        return None
    if response.verdict.status == Status.STATUS_UNDETERMINED:
        return None
    return response.freshness, response.verdict.newest_test.revision


async def _last_outdated(case: Case, data: Path) -> float:
    """Returns how many seconds after a change a code was last shown as current without it."""
    async with skewed_mesh(data, dict(case.clocks)) as mesh:
        submission = RecordSubmission(
            region=HOME, source_id="S1", subject=Subject(document=_DOCUMENT), content=_content(10)
        )
        keep = Purpose.PURPOSE_RECORD_KEEPING
        await mesh.home.SubmitRecord(SubmitRecordRequest(submission=submission, purpose=keep))
        # A gateway refuses verdicts of a clock that is far from its own: what is not shown is not outdated.
        skewed = any(skew for _, skew in case.clocks)
        with contextlib.suppress(TimeoutError) if skewed else contextlib.nullcontext():
            async with asyncio.timeout(REFUSED_SECONDS if skewed else PATIENCE_SECONDS):
                for region in (HOME, ELSEWHERE):
                    while (answer := await _shown(mesh, region)) is None or answer[1] != 1:
                        await asyncio.sleep(POLL_SECONDS)
        # A while in which all is followed, so that everything looks fresh.
        await asyncio.sleep(1.5)
        for region in (HOME, ELSEWHERE):
            await _shown(mesh, region)
        if case.before:
            mesh.cut(*WIRES[case.wire])
        await mesh.home.AmendRecord(
            AmendRecordRequest(
                region=HOME, source_id="S1", revision=1, content=_content(11), cause="mistyped", purpose=keep
            )
        )
        since = perf_counter()
        if not case.before:
            mesh.cut(*WIRES[case.wire])
        last = 0.0
        while perf_counter() - since < LATE:
            for region in (HOME, ELSEWHERE):
                asked = perf_counter() - since
                answer = await _shown(mesh, region)
                if answer is not None and answer[0] in _CURRENT and answer[1] != 2:
                    last = asked
            await asyncio.sleep(POLL_SECONDS)
        return last


def _groups() -> list[list[Case]]:
    cases = EVERY if os.environ.get(WHOLE) else SELECTED
    cases = random.Random(13).sample(cases, len(cases))
    return [cases[start : start + AT_ONCE] for start in range(0, len(cases), AT_ONCE)]


async def test_no_cut_with_any_clocks_keeps_a_code_longer_than_the_bound(tmp_path: Path, measured: Measured) -> None:
    """Every pair of services that speak to each other, their clocks three minutes off, early and late."""
    late: list[tuple[Case, float]] = []
    for number, group in enumerate(_groups()):
        places = [tmp_path / f"{number}-{position}" for position in range(len(group))]
        for place in places:
            place.mkdir()
        outdated = await asyncio.gather(
            *(_last_outdated(case, place) for case, place in zip(group, places, strict=True))
        )
        for seconds in outdated:
            measured.of().saw("cuts")
            measured.of().took(seconds)
        late += [one for one in zip(group, outdated, strict=True) if one[1] > BOUND_SECONDS + SLACK_SECONDS]
    assert late == []
