"""Questions travel to the lookup service together, and each has its own answer."""

import asyncio

from hutong.common.v1.subject_pb2 import Purpose
from hutong.verdict.v1 import verdict_pb2 as vd
from hutong.verdict.v1 import verdict_service_pb2 as pb

from services.common.errors import Code
from services.common.instants import HOUR, SECOND, Instant, parse_rfc3339, to_timestamp
from tests.testkit.builders.verdict_requests import BORIS, NOW, compute, query, record
from tests.testkit.fakes.lookup import FakeLookup
from tests.testkit.servers.verdict_service import in_process


async def test_concurrent_questions_leave_as_one_batch():
    """A hundred codes shown in one moment cost one call to the lookup."""
    lookup = FakeLookup()
    async with in_process(lookup) as verdicts:
        keys = [number.to_bytes(16) for number in range(100)]
        answers = await asyncio.gather(*(verdicts.ComputeVerdict(compute(query(key))) for key in keys))
    assert [list(answer.verdict.person_keys) for answer in answers] == [[key] for key in keys]
    assert [len(batch.queries) for batch in lookup.batches] == [100]


async def test_questions_of_different_purposes_do_not_share_a_batch():
    """The purpose travels with the batch, so it must be everyone's in it."""
    lookup = FakeLookup()
    async with in_process(lookup) as verdicts:
        check = pb.ComputeVerdictRequest(query=query(BORIS), purpose=Purpose.PURPOSE_VENUE_CHECK)
        await asyncio.gather(verdicts.ComputeVerdict(compute(query())), verdicts.ComputeVerdict(check))
    assert sorted((batch.purpose, len(batch.queries)) for batch in lookup.batches) == [
        (Purpose.PURPOSE_SHOW_CODE, 1),
        (Purpose.PURPOSE_VENUE_CHECK, 1),
    ]


async def test_a_batch_is_one_batch_and_one_error_does_not_sink_it(transport):
    """Each wrong question has its own error, by its place in the request; the lookup sees only the right ones."""
    lookup = FakeLookup()
    lookup.records[BORIS] = [record("430000", "hn", Instant(NOW - 26 * HOUR), Instant(NOW - 16 * HOUR))]
    request = pb.BatchComputeVerdictsRequest(
        queries=[
            query(),
            query(region="999999"),
            pb.VerdictQuery(region="110000"),
            query(region="710000"),
            query(BORIS, "440000"),
            query(at=to_timestamp(parse_rfc3339("2020-01-01T00:00:00+08:00"))),
        ],
        purpose=Purpose.PURPOSE_SHOW_CODE,
    )
    async with transport(lookup) as verdicts:
        outcomes = (await verdicts.BatchComputeVerdicts(request)).outcomes
    assert [outcome.WhichOneof("outcome") for outcome in outcomes] == [
        "verdict", "error", "error", "error", "verdict", "error"
    ]  # fmt: skip
    assert outcomes[1].error.violations[0].field == "queries[1].region"
    assert outcomes[1].error.violations[0].reason == "REGION_UNKNOWN"
    assert outcomes[2].error.violations[0].reason == "SUBJECT_REQUIRED"
    assert outcomes[3].error.reason == "NO_POLICY_IN_FORCE"
    assert outcomes[3].error.code == Code.FAILED_PRECONDITION
    assert outcomes[4].verdict.notice == vd.NOTICE_OUTCOME_ENFORCED
    assert outcomes[5].error.reason == "NO_POLICY_IN_FORCE"
    assert [len(batch.queries) for batch in lookup.batches] == [2]


async def test_a_code_waits_for_no_batch_of_the_past():
    """Nine batches of a thousand instants are under way; the evidence of each code is asked for at once, and apart."""
    lookup = FakeLookup()
    known = [to_timestamp(Instant(NOW - (100 + number) * SECOND)) for number in range(1000)]
    batch = pb.BatchComputeVerdictsRequest(
        queries=[query(known_at=instant) for instant in known], purpose=Purpose.PURPOSE_SHOW_CODE
    )
    async with in_process(lookup) as verdicts:
        much = [asyncio.create_task(verdicts.BatchComputeVerdicts(batch)) for _ in range(9)]
        singles = [asyncio.create_task(verdicts.ComputeVerdict(compute(query(known_at=one)))) for one in known[:100]]
        while len(lookup.batches) < 3:
            await asyncio.sleep(0)
        for _ in range(5):
            before = len(lookup.batches)
            await verdicts.ComputeVerdict(compute(query()))
            assert len(lookup.batches) - before <= 4
        assert not any(task.done() for task in much)
        for task in (*much, *singles):
            task.cancel()
        await asyncio.gather(*much, *singles, return_exceptions=True)
    mixed = [one for one in lookup.batches if len({query.HasField("known_at") for query in one.queries}) > 1]
    assert [] == mixed
    assert 5 == sum(not one.queries[0].HasField("known_at") for one in lookup.batches)


async def test_now_and_the_past_do_not_share_a_batch():
    """What is asked about the past waits for its turn; a code of the same moment does not wait with it."""
    lookup = FakeLookup()
    known = to_timestamp(Instant(NOW - 100 * SECOND))
    async with in_process(lookup) as verdicts:
        await asyncio.gather(
            verdicts.ComputeVerdict(compute(query(known_at=known))), verdicts.ComputeVerdict(compute(query()))
        )
    assert [[False], [True]] == sorted([one.HasField("known_at") for one in batch.queries] for batch in lookup.batches)
