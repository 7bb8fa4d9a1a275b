"""A laboratory's standing depends on that laboratory and the instant alone."""

from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hutong.lookup.v1.evidence_service_pb2 import BatchGetEvidenceRequest, Evidence, EvidenceQuery
from hutong.records.v1.laboratory_pb2 import Laboratory, Suspension

from tests.testkit.fakes.record_store import DEAD, RecordStore, content
from tests.testkit.servers.lookup_service import PURPOSE, Start, key, lookup, mesh, query

__all__ = ["lookup"]

BEIJING, GUANGDONG, HUNAN = "110000", "440000", "430000"
LABORATORY = "110000-suspended"


def stores() -> dict[str, RecordStore]:
    """Beijing suspended a laboratory; one person's test of it is kept in Guangdong, a neighbour's in Beijing."""
    made = mesh(BEIJING, GUANGDONG, HUNAN)
    made[BEIJING].laboratories[LABORATORY] = Laboratory(
        region=BEIJING, laboratory=LABORATORY, revision=2, suspensions=[Suspension(suspension_id="s1")]
    )
    made[GUANGDONG].put(key(1), "G1", content(laboratory=LABORATORY))
    made[BEIJING].put(key(2), "B1", content(laboratory=LABORATORY))
    return made


async def ask(client: Any, *queries: EvidenceQuery) -> list[Evidence]:
    """The evidence of a batch."""
    return list((await client.BatchGetEvidence(BatchGetEvidenceRequest(queries=queries, purpose=PURPOSE))).evidence)


@pytest.mark.parametrize("nation_down", [False, True])
@pytest.mark.parametrize("region", [BEIJING, GUANGDONG, HUNAN])
async def test_a_question_alone_is_answered_as_in_a_batch(lookup: Start, nation_down: bool, region: str) -> None:
    """To the byte, whoever else is asked about, and whichever store keeps the record."""
    made = stores()
    if nation_down:
        made["nation"].error = DEAD
    client = await lookup(made)
    await ask(client, query(9))
    at = (await ask(client, query(9)))[0].known_at
    alone = query(1, region, known_at=at)
    [single] = await ask(client, alone)
    assert [LABORATORY] == [one.laboratory for one in single.laboratories]
    assert ["s1"] == [one.suspension_id for one in single.laboratories[0].suspensions]
    others = [query(2, other, known_at=at) for other in (BEIJING, GUANGDONG, HUNAN)]
    for batch in ([alone, *others], [*others, alone], [*others, query(3, known_at=Timestamp(seconds=9_000)), alone]):
        together = (await ask(client, *batch))[batch.index(alone)]
        assert single.SerializeToString(deterministic=True) == together.SerializeToString(deterministic=True)


async def test_a_change_of_standing_is_in_the_next_answer(lookup: Start) -> None:
    """Tables are kept, and never stale: each answer says which one it rests on."""
    made = stores()
    client = await lookup(made)
    for revision in range(3, 15):
        made[BEIJING].laboratories[LABORATORY].revision = revision
        made[BEIJING].laboratories[LABORATORY].recorded_at.seconds = revision
        [evidence] = await ask(client, query(1, GUANGDONG))
        assert [revision] == [one.revision for one in evidence.laboratories]
