"""Claiming a result from elsewhere, as Beijing's holders do, in one process and over a wire."""

import asyncio
from typing import Any

import pytest
from hutong.lookup.v1.holder_service_pb2 import ClaimResultRequest, ClaimResultResponse, LinkDocumentsRequest
from hutong.records.v1.record_pb2 import Channel, RecordKind, RevisionAction

from services.common.errors import Code, ServiceError
from tests.testkit.fakes.record_store import DEAD, RecordStore, content
from tests.testkit.servers.lookup_service import DECISION, Start, key, lookup, mesh, person

__all__ = ["lookup"]

BEIJING, HUBEI, HUNAN, SICHUAN = "110000", "420000", "430000", "510000"


async def claim(client: Any, number: int = 1, region: str = BEIJING, origin: str = "", **others: Any) -> Any:
    """Claims the newest result from elsewhere, or the one named as region/source_id."""
    origin_region, _, source_id = origin.partition("/")
    request = ClaimResultRequest(
        subject=person(number),
        region=region,
        origin_region=origin_region,
        origin_source_id=source_id,
        purpose=DECISION,
        **others,
    )
    return await client.ClaimResult(request)


async def refusal(client: Any, **others: Any) -> tuple[Code, str]:
    """Returns the error that a claim ends in."""
    with pytest.raises(ServiceError) as refused:
        await claim(client, **others)
    error = refused.value
    return error.code, error.violations[0].reason if error.violations else error.reason


async def test_the_newest_result_becomes_part_of_the_regions_record(lookup: Start) -> None:
    """A copy with its provenance, in the channel of health codes, under the key that was shown."""
    stores = mesh(BEIJING, HUNAN)
    stores[HUNAN].put(key(1), "older", content(1_000))
    stores[HUNAN].put(key(1), "newer", content(2_000))
    client = await lookup(stores)
    claimed: ClaimResultResponse = await claim(client)
    assert claimed.created
    assert claimed.record == stores[BEIJING].records[BEIJING, "claim-430000-newer"][-1]
    assert claimed.record.person_key == key(1)
    assert claimed.record.content == content(2_000, channel=Channel.CHANNEL_HEALTH_CODE, origin=(HUNAN, "newer", 1))


async def test_a_result_may_be_named(lookup: Start) -> None:
    """Not only the newest counts to a holder."""
    stores = mesh(BEIJING, HUNAN)
    stores[HUNAN].put(key(1), "older", content(1_000))
    stores[HUNAN].put(key(1), "newer", content(2_000))
    claimed = await claim(await lookup(stores), origin=f"{HUNAN}/older")
    assert claimed.record.source_id == "claim-430000-older"


async def test_twice_is_once(lookup: Start) -> None:
    """Also when both claims are made at once, and when the second is made with another document of the person."""
    stores = mesh(BEIJING, HUNAN)
    stores[HUNAN].put(key(1), "S1")
    client = await lookup(stores)
    both = await asyncio.gather(claim(client), claim(client))
    assert sorted(one.created for one in both) == [False, True]
    link = LinkDocumentsRequest(subject=person(1), other=person(2), cause="renewed", purpose=DECISION)
    await client.LinkDocuments(link)
    again = await claim(client, 2, origin=f"{HUNAN}/S1")
    assert not again.created
    assert again.record == both[0].record == both[1].record
    assert stores[BEIJING].written == 1


async def test_a_claim_of_a_claim_names_the_original(lookup: Start) -> None:
    """What Sichuan copied from Hunan is Hunan's, wherever it is claimed next."""
    stores = mesh(BEIJING, SICHUAN)
    stores[SICHUAN].put(key(1), "claim-430000-S1", content(origin=(HUNAN, "S1", 3)))
    claimed = await claim(await lookup(stores), origin=f"{SICHUAN}/claim-430000-S1")
    origin = claimed.record.content.origin
    assert claimed.record.source_id == "claim-430000-S1"
    assert (origin.region, origin.source_id, origin.revision) == (HUNAN, "S1", 3)


async def test_an_amended_original_amends_the_copy(lookup: Start) -> None:
    """The copy follows when it is claimed again; it is one record still."""
    stores = mesh(BEIJING, HUNAN)
    stores[HUNAN].put(key(1), "S1", content(1_000))
    client = await lookup(stores)
    await claim(client)
    stores[HUNAN].put(key(1), "S1", content(1_500), action=RevisionAction.REVISION_ACTION_AMENDED)
    followed = await claim(client)
    assert not followed.created
    assert followed.record.revision == 2
    assert followed.record.content == content(1_500, channel=Channel.CHANNEL_HEALTH_CODE, origin=(HUNAN, "S1", 2))
    assert (await claim(client)).record == followed.record


async def test_a_write_in_between_is_seen_at_the_next_attempt(lookup: Start) -> None:
    """A conflict is no reason to fail: the claim is worked out anew from what is there now."""

    class Hurried(RecordStore):
        """Beijing, where another client claims the same result, from an earlier revision, just before."""

        async def SubmitRecord(self, request: Any) -> Any:
            earlier = content(500, channel=Channel.CHANNEL_HEALTH_CODE, origin=(HUNAN, "S1", 1))
            self.put(key(1), "claim-430000-S1", earlier)
            return await super().SubmitRecord(request)

    hunan, beijing = RecordStore(HUNAN), Hurried(BEIJING)
    hunan.put(key(1), "S1", content(500))
    hunan.put(key(1), "S1", content(600), action=RevisionAction.REVISION_ACTION_AMENDED)
    stores = {BEIJING: beijing, HUNAN: hunan, "nation": RecordStore("nation", [beijing, hunan])}
    claimed = await claim(await lookup(stores))
    assert not claimed.created
    assert (claimed.record.revision, claimed.record.content.origin.revision) == (2, 2)


async def test_the_region_of_origin_is_asked_for_what_the_nation_has_not_heard_of(lookup: Start) -> None:
    """A result of a moment ago can be claimed by its name."""
    stores = mesh(BEIJING, HUNAN)
    stores["nation"].follows = []
    stores[HUNAN].put(key(1), "fresh")
    assert (await claim(await lookup(stores), origin=f"{HUNAN}/fresh")).created


async def test_with_the_nation_down_a_result_is_claimed_from_its_region(lookup: Start) -> None:
    """An outage of the nation does not keep a holder from what a region on the mesh answers."""
    stores = mesh(BEIJING, HUNAN)
    stores["nation"].error = DEAD
    stores[HUNAN].put(key(1), "S1")
    assert (await claim(await lookup(stores))).created


async def test_no_such_result_and_could_not_ask_are_different_answers(lookup: Start) -> None:
    """NOT_FOUND only when someone who would know has said so."""
    stores = mesh(BEIJING, HUNAN, SICHUAN)
    stores[HUNAN].put(key(1), "sample", content(kind=RecordKind.RECORD_KIND_SAMPLING))
    stores[HUNAN].put(key(1), "gone", action=RevisionAction.REVISION_ACTION_RETRACTED)
    client = await lookup(stores)
    missing = (Code.NOT_FOUND, "RESULT_NOT_FOUND")
    unknown = (Code.UNAVAILABLE, "SOURCES_UNREACHABLE")
    assert await refusal(client) == missing
    assert await refusal(client, origin=f"{HUNAN}/sample") == missing
    stores["nation"].error = DEAD
    # A region off the mesh may have reported to the nation by file.
    assert await refusal(client) == unknown
    assert await refusal(client, origin=f"{HUBEI}/F1") == unknown
    assert await refusal(client, origin=f"{HUNAN}/gone") == missing
    stores[HUNAN].error = DEAD
    assert await refusal(client, origin=f"{HUNAN}/S1") == unknown
    assert stores[BEIJING].written == 0


async def test_what_was_claimed_before_is_answered_even_if_its_origin_is_down(lookup: Start) -> None:
    """The copy is there, and twice is once."""
    stores = mesh(BEIJING, HUNAN)
    stores[HUNAN].put(key(1), "S1")
    client = await lookup(stores)
    first = await claim(client, origin=f"{HUNAN}/S1")
    stores["nation"].error = stores[HUNAN].error = DEAD
    again = await claim(client, origin=f"{HUNAN}/S1")
    assert (again.created, again.record) == (False, first.record)


@pytest.mark.parametrize(
    ("asked", "code", "reason"),
    [
        ({"region": HUBEI}, Code.FAILED_PRECONDITION, "REGION_NOT_ON_MESH"),
        ({"origin": f"{BEIJING}/own"}, Code.FAILED_PRECONDITION, "RESULT_IS_LOCAL"),
        ({"origin": f"{HUNAN}/"}, Code.INVALID_ARGUMENT, "ORIGIN_INCOMPLETE"),
        ({"origin": "/S1"}, Code.INVALID_ARGUMENT, "ORIGIN_INCOMPLETE"),
        ({"region": "999999"}, Code.INVALID_ARGUMENT, "REGION_UNKNOWN"),
        ({"request_id": "x"}, Code.INVALID_ARGUMENT, "REQUEST_ID_FORMAT"),
    ],
)
async def test_a_claim_that_cannot_be_is_told_why(
    lookup: Start, asked: dict[str, Any], code: Code, reason: str
) -> None:
    """With a stable reason; nothing is written."""
    stores = mesh(BEIJING, HUNAN)
    stores[BEIJING].put(key(1), "own")
    stores[HUNAN].put(key(1), "S1")
    assert await refusal(await lookup(stores), **asked) == (code, reason)
    assert [store.written for store in stores.values()] == [0, 0, 0]


async def test_a_region_that_withdrew_its_copy_has_the_last_word(lookup: Start) -> None:
    """The holder cannot bring it back by claiming again."""
    stores = mesh(BEIJING, HUNAN)
    stores[HUNAN].put(key(1), "S1")
    client = await lookup(stores)
    record = (await claim(client)).record
    stores[BEIJING].put(key(1), record.source_id, record.content, action=RevisionAction.REVISION_ACTION_RETRACTED)
    assert await refusal(client) == (Code.FAILED_PRECONDITION, "CLAIM_RETRACTED")


async def test_a_regions_store_that_is_down_takes_no_claim(lookup: Start) -> None:
    """Nothing is acknowledged that was not written."""
    stores = mesh(BEIJING, HUNAN)
    stores[HUNAN].put(key(1), "S1")
    stores[BEIJING].error = DEAD
    assert await refusal(await lookup(stores)) == (Code.UNAVAILABLE, "SERVICE_UNREACHABLE")
