"""The standing of laboratories, over every backend."""

from hutong.common.v1.text_pb2 import LocalizedText
from hutong.records.v1 import record_read_service_pb2 as rpb
from hutong.records.v1 import record_write_service_pb2 as wpb
from hutong.records.v1.laboratory_pb2 import Interval, Laboratory

from services.common.instants import Instant, from_timestamp
from tests.testkit.builders.records import fresh_id, hours, person, result
from tests.testkit.servers.records_service import Records, opened, put_laboratory, refused


def whole_day() -> Interval:
    """The day before NOON."""
    interval = Interval(to=hours(0))
    getattr(interval, "from").CopyFrom(hours(-24))
    return interval


async def suspend(records: Records, laboratory: str, suspension_id: str = "s1", cause: str = "mixed up") -> Laboratory:
    """Suspends a laboratory for the day before NOON."""
    response: wpb.SuspendLaboratoryResponse = await records.calls.SuspendLaboratory(
        wpb.SuspendLaboratoryRequest(
            laboratory=laboratory, suspension_id=suspension_id, sampled=whole_day(), cause=cause
        )
    )
    return response.laboratory


async def lift(records: Records, laboratory: str, suspension_id: str = "s1", cause: str = "checked") -> Laboratory:
    """Lifts a suspension."""
    response: wpb.LiftSuspensionResponse = await records.calls.LiftSuspension(
        wpb.LiftSuspensionRequest(laboratory=laboratory, suspension_id=suspension_id, cause=cause)
    )
    return response.laboratory


async def test_a_laboratory_is_registered_once(records: Records) -> None:
    """The same registration again changes nothing; another name or accreditation is a new revision."""
    first = await put_laboratory(records, "430000-xiangya")
    assert (first.revision, first.region) == (1, "430000")
    assert first == await put_laboratory(records, "430000-xiangya")
    second = await put_laboratory(records, "430000-xiangya", accredited=[whole_day()])
    assert second.revision == 2
    got = await records.calls.GetLaboratory(rpb.GetLaboratoryRequest(laboratory="430000-xiangya"))
    assert second == got.laboratory


async def test_people_are_told_whom_to_call(records: Records) -> None:
    """A telephone is kept, told and taken away again; what is none, such as a document's number, is refused."""
    called = LocalizedText(zh="湘雅医院", en="Xiangya Hospital")

    async def put(contact: str) -> Laboratory:
        request = wpb.PutLaboratoryRequest(
            region="430000", laboratory="430000-call", display_name=called, contact=contact
        )
        response: wpb.PutLaboratoryResponse = await records.calls.PutLaboratory(request)
        return response.laboratory

    assert ("+86 (731) 8432-8888", 1) == ((first := await put("+86 (731) 8432-8888")).contact, first.revision)
    got = await records.calls.GetLaboratory(rpb.GetLaboratoryRequest(laboratory="430000-call"))
    assert first == got.laboratory
    assert ("", 2) == ((second := await put("")).contact, second.revision)
    for wrong in ("11010519491231002X", "110105194912310021", "call us", "12", "+" * 41):
        assert ["CONTACT_MALFORMED"] == [one.reason for one in (await refused(put(wrong))).violations]


async def test_suspension_and_lifting_reach_every_reader_as_known_then(records: Records) -> None:
    """A suspension is in every answer from its commit on, lifted or not as known at the instant asked about."""
    await records.submit(fresh_id(), person(1), result())
    await put_laboratory(records, "430000-xiangya")
    registered = (await records.batch([person(1)])).laboratories
    assert [lab.revision for lab in registered] == [1]
    suspended = await suspend(records, "430000-xiangya")
    assert [suspended] == list((await records.batch([person(1)])).laboratories)
    lifted = await lift(records, "430000-xiangya")
    assert [lifted] == list((await records.batch([person(1)])).laboratories)
    assert lifted.suspensions[0].lifted_cause == "checked"
    assert lifted.suspensions[0].lifted_at == lifted.recorded_at
    assert lifted.suspensions[0].recorded_at == suspended.recorded_at
    then = await records.batch([person(1)], from_timestamp(suspended.recorded_at))
    assert [suspended] == list(then.laboratories)
    before = await records.batch([person(1)], Instant(from_timestamp(registered[0].recorded_at) - 1))
    assert list(before.laboratories) == []


async def test_a_laboratory_that_does_not_appear_is_not_sent(records: Records) -> None:
    """An answer carries the laboratories of its records, not all there are."""
    await put_laboratory(records, "430000-xiangya")
    await put_laboratory(records, "430000-other")
    await records.submit(fresh_id(), person(1), result())
    response = await records.batch([person(1), person(2)])
    assert [lab.laboratory for lab in response.laboratories] == ["430000-xiangya"]


async def test_suspending_twice_is_once(records: Records) -> None:
    """The same suspension again is a no-op; another one under its id, or lifting what is not there, is refused."""
    await put_laboratory(records, "430000-xiangya")
    first = await suspend(records, "430000-xiangya")
    assert first == await suspend(records, "430000-xiangya")
    assert (await refused(suspend(records, "430000-xiangya", cause="other"))).reason == "SUSPENSION_CONFLICT"
    assert (await refused(suspend(records, "430000-none"))).reason == "LABORATORY_NOT_FOUND"
    assert (await refused(lift(records, "430000-none"))).reason == "LABORATORY_NOT_FOUND"
    assert (await refused(lift(records, "430000-xiangya", "s2"))).reason == "SUSPENSION_NOT_FOUND"
    lifted = await lift(records, "430000-xiangya")
    assert lifted == await lift(records, "430000-xiangya")
    assert (await refused(lift(records, "430000-xiangya", cause="other"))).reason == "SUSPENSION_LIFTED"


async def test_registration_leaves_suspensions_alone(records: Records) -> None:
    """A new accreditation does not lift a suspension."""
    await put_laboratory(records, "430000-xiangya")
    suspended = await suspend(records, "430000-xiangya")
    again = await put_laboratory(records, "430000-xiangya", accredited=[whole_day()])
    assert list(suspended.suspensions) == list(again.suspensions)


async def test_pages_of_laboratories(records: Records) -> None:
    """Laboratories are listed by id, page by page."""
    ids = [f"430000-{n}" for n in "adbec"]
    for i in ids:
        await put_laboratory(records, i)
    seen: list[str] = []
    token = ""
    while True:
        page = await records.calls.ListLaboratories(rpb.ListLaboratoriesRequest(page_size=2, page_token=token))
        seen += [lab.laboratory for lab in page.laboratories]
        token = page.next_page_token
        if not token:
            break
    assert sorted(ids) == seen


async def test_a_laboratory_is_written_by_another_replica(records: Records, store_url: str) -> None:
    """What another process commits is in the next answer of this one."""
    await records.submit(fresh_id(), person(1), result())
    await put_laboratory(records, "430000-xiangya")
    await records.batch([person(1)])
    async with opened(store_url) as other_store:
        suspended = await suspend(Records(other_store, records.clock), "430000-xiangya")
    assert [suspended] == list((await records.batch([person(1)])).laboratories)
