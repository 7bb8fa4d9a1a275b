"""Correction requests reach the laboratory's queue and come back answered, over every backend."""

import asyncio
from typing import Any

import pytest
from hutong.common.v1.subject_pb2 import Document, DocumentType, Purpose, Subject
from hutong.common.v1.text_pb2 import LocalizedText
from hutong.records.v1 import correction_service_pb2 as pb
from hutong.records.v1.laboratory_quality_service_pb2 import ListOverdueSamplesRequest
from hutong.records.v1.record_pb2 import Origin, TestResult
from hutong.records.v1.record_write_service_pb2 import PutLaboratoryRequest

from services.common.errors import Code, ServiceError
from services.common.instants import Instant, from_timestamp
from services.records.domain.correction_requests import MOST_A_DAY, MOST_TEXT, MOST_WAITING, SUPERVISION_ASKS
from services.runtime.tls.identity import principal
from tests.testkit.builders.records import KEEP, SHOW, fresh_id, person, request_id, result, sampling
from tests.testkit.calls import local
from tests.testkit.clocks import NOON
from tests.testkit.servers.records_service import Records, refused

HOLDER = Purpose.PURPOSE_HOLDER_DECISION
NOT_MINE = pb.CorrectionRequestKind.CORRECTION_REQUEST_KIND_NOT_MINE
WRONG_RESULT = pb.CorrectionRequestKind.CORRECTION_REQUEST_KIND_WRONG_RESULT
WRONG_TIME = pb.CorrectionRequestKind.CORRECTION_REQUEST_KIND_WRONG_TIME
RESULT_LATE = pb.CorrectionRequestKind.CORRECTION_REQUEST_KIND_RESULT_LATE
CORRECTED = pb.CorrectionAnswer.CORRECTION_ANSWER_CORRECTED
STANDS = pb.CorrectionAnswer.CORRECTION_ANSWER_STANDS
FORWARDED = pb.CorrectionAnswer.CORRECTION_ANSWER_FORWARDED
MINE = (1,)


async def ask(
    records: Records,
    source_id: str,
    kind: pb.CorrectionRequestKind.ValueType = WRONG_TIME,
    text: str = "",
    who: tuple[int, ...] = MINE,
    once: str = "",
) -> pb.RequestCorrectionResponse:
    """Asks for a correction, under each of the person's documents."""
    response: pb.RequestCorrectionResponse = await records.calls.RequestCorrection(
        pb.RequestCorrectionRequest(
            region="430000",
            source_id=source_id,
            subjects=[Subject(person_key=person(one)) for one in who],
            kind=kind,
            text=text,
            purpose=HOLDER,
            request_id=once,
        )
    )
    return response


async def queue(records: Any, laboratory: str = "", answered_too: bool = False, size: int = 0) -> list[Any]:
    """Returns the requests that a laboratory, or whoever calls, sees, page by page."""
    listed: list[Any] = []
    token = ""
    while True:
        page = await records.ListCorrectionRequests(
            pb.ListCorrectionRequestsRequest(
                region="430000",
                laboratory=laboratory,
                answered_too=answered_too,
                purpose=KEEP,
                page_size=size,
                page_token=token,
            )
        )
        listed += page.correction_requests
        token = page.next_page_token
        if not token:
            return listed


async def mine(records: Records, *who: int) -> list[Any]:
    """Returns a person's own requests."""
    subjects = [Subject(person_key=person(one)) for one in who or MINE]
    asked = pb.ListHolderCorrectionRequestsRequest(subjects=subjects, purpose=SHOW)
    return list((await records.calls.ListHolderCorrectionRequests(asked)).correction_requests)


async def reply(
    calls: Any, correction_request_id: str, answer: pb.CorrectionAnswer.ValueType, **more: Any
) -> pb.CorrectionRequest:
    """Answers a request."""
    asked = {"text": "已核对", "region": "430000", **more}
    response = await calls.AnswerCorrectionRequest(
        pb.AnswerCorrectionRequestRequest(
            correction_request_id=correction_request_id, answer=answer, purpose=KEEP, **asked
        )
    )
    answered: pb.CorrectionRequest = response.correction_request
    return answered


def named(records: Records, name: str) -> Any:
    """Returns the service's methods as a principal calls them."""
    return local(records.service.name, principal(name), records.service.bindings)


async def test_a_request_reaches_the_queue_and_its_answer_comes_back(records: Records) -> None:
    """With the revision that was found wrong, the laboratory, the words and both instants; then it waits no more."""
    source_id = fresh_id()
    await records.submit(source_id, person(1), result(outcome=TestResult.TEST_RESULT_POSITIVE))
    made = await ask(records, source_id, WRONG_RESULT, "报告单上是阴性")
    assert made.created
    [waiting] = await queue(records.calls)
    assert made.correction_request == waiting
    assert (waiting.source_id, waiting.revision, waiting.laboratory) == (source_id, 1, "430000-xiangya")
    assert (waiting.kind, waiting.text, waiting.answer) == (WRONG_RESULT, "报告单上是阴性", 0)
    assert from_timestamp(waiting.requested_at) >= NOON
    assert [waiting] == await mine(records)
    await records.amend(source_id, 1, result())
    assert [2] == [one.later_revision for one in await queue(records.calls)]
    assert [2] == [one.later_revision for one in await mine(records)]
    records.clock.forward(60)
    answered = await reply(records.calls, waiting.correction_request_id, CORRECTED, text="复核后更正为阴性")
    assert (answered.answer, answered.corrected_by, answered.answer_text) == (CORRECTED, 2, "复核后更正为阴性")
    assert from_timestamp(answered.answered_at) > from_timestamp(answered.requested_at)
    assert [answered] == await mine(records)
    assert [] == await queue(records.calls)
    assert [answered] == await queue(records.calls, answered_too=True)


async def test_what_was_not_corrected_is_not_said_to_be(records: Records) -> None:
    """The revision that corrects it is there, and later than the one that was found wrong; a retraction is one."""
    source_id = fresh_id()
    await records.submit(source_id, person(1), result())
    asked = (await ask(records, source_id, NOT_MINE)).correction_request.correction_request_id
    for revision in (0, 1, 2):
        error = await refused(reply(records.calls, asked, CORRECTED, corrected_by=revision))
        assert "CORRECTION_NOT_MADE" == error.reason
    await records.retract(source_id, 1)
    assert 2 == (await reply(records.calls, asked, CORRECTED)).corrected_by
    error = await refused(ask(records, source_id, NOT_MINE))
    assert "RECORD_RETRACTED" == error.reason


async def test_the_answer_is_the_answer(records: Records) -> None:
    """The same again changes nothing, another is refused; what was forwarded may still be answered."""
    source_id = fresh_id()
    await records.submit(source_id, person(1), result())
    asked = (await ask(records, source_id)).correction_request.correction_request_id
    forwarded = await reply(records.calls, asked, FORWARDED, forwarded_to="岳麓区卫生健康局")
    assert "岳麓区卫生健康局" == forwarded.forwarded_to
    records.clock.forward(60)
    assert forwarded == await reply(records.calls, asked, FORWARDED, forwarded_to="岳麓区卫生健康局")
    stands = await reply(records.calls, asked, STANDS)
    assert (stands.answer, stands.forwarded_to) == (STANDS, "")
    assert stands == await reply(records.calls, asked, STANDS)
    error = await refused(reply(records.calls, asked, STANDS, text="另一说法"))
    assert "CORRECTION_REQUEST_ANSWERED" == error.reason
    again = await ask(records, source_id)
    assert again.created
    assert asked != again.correction_request.correction_request_id
    error = await refused(reply(records.calls, "0000", STANDS))
    assert (Code.NOT_FOUND, "CORRECTION_REQUEST_NOT_FOUND") == (error.code, error.reason)


async def test_the_same_again_is_one_request(records: Records) -> None:
    """With the request's id or without, at once or later; other words are not lost in silence."""
    source_id = fresh_id()
    await records.submit(source_id, person(1), result())
    once = request_id()
    answers = await asyncio.gather(*(ask(records, source_id, text="晚了两小时", once=once) for _ in range(3)))
    answers += await asyncio.gather(*(ask(records, source_id, text="晚了两小时") for _ in range(3)))
    assert 1 == len({answer.correction_request.correction_request_id for answer in answers})
    assert 1 == len(await queue(records.calls))
    error = await refused(ask(records, source_id, text="早了两小时"))
    assert "CORRECTION_REQUEST_OPEN" == error.reason
    assert {"correction_request_id": answers[0].correction_request.correction_request_id} == error.metadata
    # Which documents are linked by then is no other request.
    assert answers[0] == await ask(records, source_id, text="晚了两小时", who=(1, 2), once=once)


async def test_a_person_asks_about_their_own_records_alone(records: Records) -> None:
    """Under any of their documents; of another's nothing is said, not even whether there is one."""
    source_id = fresh_id()
    await records.submit(source_id, person(2), result())
    for named_id in (source_id, fresh_id()):
        error = await refused(ask(records, named_id))
        assert (Code.NOT_FOUND, "RECORD_NOT_FOUND") == (error.code, error.reason)
    assert (await ask(records, source_id, who=(1, 2))).created
    assert [] == await mine(records)
    assert [source_id] == [one.source_id for one in await mine(records, 1, 2)]


async def test_what_cannot_be_wrong_is_refused(records: Records) -> None:
    """A result is not late, a sample that waits has no wrong result, and a copy is corrected where its original is."""
    result_id, sample_id, copy_id = fresh_id(), fresh_id(), fresh_id()
    await records.submit(result_id, person(1), result())
    await records.submit(sample_id, person(1), sampling())
    await records.submit(copy_id, person(1), result(origin=Origin(region="110000", source_id="S1", revision=1)))
    assert "CORRECTION_KIND_UNFIT" == (await refused(ask(records, result_id, RESULT_LATE))).reason
    assert "CORRECTION_KIND_UNFIT" == (await refused(ask(records, sample_id, WRONG_RESULT))).reason
    assert (await ask(records, sample_id, RESULT_LATE)).created
    error = await refused(ask(records, copy_id))
    assert ("RECORD_IS_COPY", {"origin_region": "110000"}) == (error.reason, error.metadata)


async def test_one_person_fills_no_queue(records: Records) -> None:
    """So many wait, and so many are taken a day; others are not held up, and the next day goes on."""
    ids = [fresh_id() for _ in range(MOST_WAITING + 1)]
    for source_id in ids:
        await records.submit(source_id, person(1), result())
    asked = [(await ask(records, source_id)).correction_request for source_id in ids[:-1]]
    assert "TOO_MANY_CORRECTION_REQUESTS" == (await refused(ask(records, ids[-1]))).reason
    for _ in range(MOST_A_DAY // MOST_WAITING - 1):
        for one in asked:
            await reply(records.calls, one.correction_request_id, STANDS)
        asked = [(await ask(records, source_id)).correction_request for source_id in ids[:-1]]
    await reply(records.calls, asked[0].correction_request_id, STANDS)
    assert "TOO_MANY_CORRECTION_REQUESTS" == (await refused(ask(records, ids[-1]))).reason
    other = fresh_id()
    await records.submit(other, person(2), result())
    assert (await ask(records, other, who=(2,))).created
    records.clock.forward(86_401)
    assert (await ask(records, ids[-1])).created


@pytest.mark.parametrize(
    ("kind", "text", "reason"),
    [
        (0, "", "CORRECTION_REQUEST_KIND_REQUIRED"),
        (9, "", "CORRECTION_REQUEST_KIND_UNKNOWN"),
        (WRONG_TIME, "晚" * (MOST_TEXT + 1), "TEXT_TOO_LONG"),
        (WRONG_TIME, "晚\x07", "TEXT_FORMAT"),
        (WRONG_TIME, "证件号 11010519491231002X 写错", "DOCUMENT_NUMBER_NOT_ALLOWED"),
        (WRONG_TIME, "护照 e-1234-5678 写错", "DOCUMENT_NUMBER_NOT_ALLOWED"),
    ],
)
async def test_what_is_written_is_checked(records: Records, kind: Any, text: str, reason: str) -> None:
    """The kind is one there is; the text is short, can be read, and holds no number, the person's own of any kind
    included."""
    asked = pb.RequestCorrectionRequest(
        region="430000",
        source_id="S",
        subjects=[Subject(document=Document(type=DocumentType.DOCUMENT_TYPE_PASSPORT, number="E12345678"))],
        kind=kind,
        text=text,
        purpose=HOLDER,
    )
    error = await refused(records.calls.RequestCorrection(asked))
    assert [reason] == [one.reason for one in error.violations]


async def test_an_answer_is_checked(records: Records) -> None:
    """Every wrong field is named."""
    wrong = pb.AnswerCorrectionRequestRequest(
        region="430000", answer=STANDS, forwarded_to="x", corrected_by=2, purpose=KEEP
    )
    error = await refused(records.calls.AnswerCorrectionRequest(wrong))
    assert {
        "CORRECTION_REQUEST_ID_REQUIRED",
        "CAUSE_REQUIRED",
        "FORWARDED_TO_NOT_ALLOWED",
        "CORRECTED_BY_NOT_ALLOWED",
    } == {one.reason for one in error.violations}
    error = await refused(reply(records.calls, "x", FORWARDED))
    assert ["FORWARDED_TO_REQUIRED"] == [one.reason for one in error.violations]


async def test_a_laboratory_sees_and_answers_those_about_its_own_records(records: Records) -> None:
    """Another's it neither sees nor answers; its region sees all, page by page."""
    for laboratory in ("430000-one", "430000-two"):
        source_id = fresh_id()
        await records.submit(source_id, person(1), result(laboratory=laboratory))
        await ask(records, source_id)
    one = named(records, "region/430000/laboratory/one")
    assert ["430000-one"] == [asked.laboratory for asked in await queue(one)]
    assert ["430000-one"] == [asked.laboratory for asked in await queue(one, "430000-one")]
    everything = await queue(records.calls, size=1)
    assert ["430000-one", "430000-two"] == [asked.laboratory for asked in everything]
    assert ["430000-two"] == [asked.laboratory for asked in await queue(records.calls, "430000-two")]
    with pytest.raises(ServiceError) as denied:
        await queue(one, "430000-two")
    assert "LABORATORY_DENIED" == denied.value.reason
    theirs = everything[1].correction_request_id
    assert "LABORATORY_DENIED" == (await refused(reply(one, theirs, STANDS))).reason
    assert STANDS == (await reply(one, everything[0].correction_request_id, STANDS)).answer


async def test_they_are_counted_by_laboratory_and_kind(records: Records) -> None:
    """By what became of them, with the oldest that waits; about no person."""
    first, second = fresh_id(), fresh_id()
    for source_id in (first, second):
        await records.submit(source_id, person(1), result())
    answered = (await ask(records, first)).correction_request.correction_request_id
    waiting = (await ask(records, second)).correction_request
    await reply(records.calls, answered, STANDS)
    asked = pb.GetCorrectionRequestCountsRequest(region="430000")
    [count] = (await records.calls.GetCorrectionRequestCounts(asked)).counts
    assert (count.laboratory, count.kind, count.waiting, count.standing) == ("430000-xiangya", WRONG_TIME, 1, 1)
    assert count.waiting_since == waiting.requested_at


async def test_a_region_that_is_written_elsewhere_has_no_queue_here(records: Records) -> None:
    """Whoever asks or answers is told where."""
    asked = pb.RequestCorrectionRequest(
        region="440000",
        source_id="S",
        subjects=[Subject(person_key=person(1))],
        kind=WRONG_TIME,
        purpose=HOLDER,
    )
    assert "REGION_NOT_KEPT" == (await refused(records.calls.RequestCorrection(asked))).reason
    assert "REGION_NOT_KEPT" == (await refused(reply(records.calls, "x", STANDS, region="440000"))).reason


async def test_they_end_with_the_record(records: Records) -> None:
    """A purge leaves none of a record that is gone, and those of others where they are."""
    old, new = fresh_id(), fresh_id()
    await records.submit(old, person(1), result())
    await ask(records, old)
    records.clock.forward(3600)
    between = Instant(records.clock())
    await records.submit(new, person(1), result())
    await ask(records, new)
    assert 1 == (await records.purge(between)).records
    assert [new] == [one.source_id for one in await mine(records)]


async def demand(records: Records, source_id: str, text: str = "", once: str = "") -> pb.RequestResultResponse:
    """Asks as supervision for a late result."""
    response: pb.RequestResultResponse = await records.calls.RequestResult(
        pb.RequestResultRequest(
            region="430000",
            source_id=source_id,
            text=text,
            purpose=Purpose.PURPOSE_SUPERVISION,
            request_id=once,
        )
    )
    return response


async def inquiry_of(records: Records, source_id: str) -> pb.ResultInquiry:
    """Returns what an overdue sample says of its laboratory's having been asked."""
    overdue = await records.calls.ListOverdueSamples(ListOverdueSamplesRequest(overdue_hours=1))
    [sample] = [one for one in overdue.samples if one.source_id == source_id]
    inquiry: pb.ResultInquiry = sample.inquiry
    return inquiry


async def test_supervision_asks_for_a_late_result_and_sees_the_answer(records: Records) -> None:
    """It is in the laboratory's queue and among the person's own, once; what is answered stands with the sample."""
    waiting, other = fresh_id(), fresh_id()
    for source_id in (waiting, other):
        await records.submit(source_id, person(1), sampling())
    records.clock.forward(3 * 3600)
    assert not (await inquiry_of(records, waiting)).HasField("asked_at")
    once = request_id()
    made = await demand(records, waiting, "已逾48小时", once)
    assert made.created
    assert made == await demand(records, waiting, "已逾48小时", once)
    again = await demand(records, waiting)
    assert (False, made.inquiry) == (again.created, again.inquiry)
    [queued] = await queue(records.calls)
    assert (waiting, RESULT_LATE, f"{SUPERVISION_ASKS}：已逾48小时") == (queued.source_id, queued.kind, queued.text)
    assert [queued] == await mine(records)
    assert made.inquiry == await inquiry_of(records, waiting)
    assert not (await inquiry_of(records, other)).HasField("asked_at")

    await reply(records.calls, queued.correction_request_id, STANDS, text="复检中，今晚出结果")
    answered = await inquiry_of(records, waiting)
    assert (STANDS, "复检中，今晚出结果") == (answered.answer, answered.answer_text)
    # What was answered, and is late still, can be asked about again; the newest is shown.
    assert (await demand(records, waiting)).created
    assert 0 == (await inquiry_of(records, waiting)).answer


async def test_who_asks_at_once_asks_once(records: Records) -> None:
    """Several supervisors make one request, and each is told of it."""
    source_id = fresh_id()
    await records.submit(source_id, person(1), sampling())
    told = await asyncio.gather(*(demand(records, source_id) for _ in range(5)))
    assert [False] * 4 + [True] == sorted(one.created for one in told)
    assert 1 == len({one.inquiry.asked_at.ToNanoseconds() for one in told})
    assert 1 == len(await queue(records.calls))


async def test_what_a_person_wrote_is_not_told_to_supervision(records: Records) -> None:
    """Where the person asked already, supervision learns since when, and adds nothing."""
    source_id = fresh_id()
    await records.submit(source_id, person(1), sampling())
    records.clock.forward(3 * 3600)
    await ask(records, source_id, RESULT_LATE, "我还在隔离")
    told = await demand(records, source_id)
    assert not told.created
    for message in (told, await inquiry_of(records, source_id)):
        assert "我还在隔离".encode() not in message.SerializeToString()
    assert 1 == len(await queue(records.calls))


async def test_only_what_waits_is_asked_for(records: Records) -> None:
    """Neither a result, nor what was withdrawn, nor what is not there; and no number is written to anybody."""
    result_id, withdrawn, waiting = fresh_id(), fresh_id(), fresh_id()
    await records.submit(result_id, person(1), result())
    await records.submit(withdrawn, person(1), sampling())
    await records.retract(withdrawn, 1)
    await records.submit(waiting, person(1), sampling())
    for source_id, reason in (
        (result_id, "CORRECTION_KIND_UNFIT"),
        (withdrawn, "RECORD_RETRACTED"),
        (fresh_id(), "RECORD_NOT_FOUND"),
    ):
        assert reason == (await refused(demand(records, source_id))).reason
    for text, reason in (("11010519491231002X", "DOCUMENT_NUMBER_NOT_ALLOWED"), ("长" * 201, "TEXT_TOO_LONG")):
        assert [reason] == [one.reason for one in (await refused(demand(records, waiting, text))).violations]
    assert [] == await queue(records.calls)


async def test_a_laboratorys_telephone_stands_with_its_overdue_samples(records: Records) -> None:
    """As its region has it now; nothing where it told none."""
    await records.submit(fresh_id(), person(1), sampling())
    records.clock.forward(3 * 3600)
    asked = ListOverdueSamplesRequest(overdue_hours=1)
    assert [""] == [one.contact for one in (await records.calls.ListOverdueSamples(asked)).samples]
    for contact in ("0731-1", "0731-8432 7777"):
        await records.calls.PutLaboratory(
            PutLaboratoryRequest(
                laboratory="430000-xiangya",
                region="430000",
                display_name=LocalizedText(zh="湘雅", en="Xiangya"),
                contact=contact,
            )
        )
    assert ["0731-8432 7777"] == [one.contact for one in (await records.calls.ListOverdueSamples(asked)).samples]
