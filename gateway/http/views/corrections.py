"""Correction requests of a person and their answers, as JSON."""

from typing import Annotated

from hutong.gateway.v1 import health_code_service_pb2 as pb
from hutong.records.v1 import correction_service_pb2

from gateway.http.fields import RegionCode, described, instant, one_of
from gateway.http.names import CORRECTION_ANSWER, CORRECTION_KIND
from gateway.http.views import answer
from gateway.http.views.answer import Answer, maybe_instant
from gateway.http.views.evidence import Coverage, coverage


class CorrectionAnswer(Answer, frozen=True):
    """检测机构的答复。 What the laboratory answered."""

    answer: Annotated[
        str, one_of(CORRECTION_ANSWER, "CORRECTED 已更正, STANDS 记录无误, FORWARDED 已转交，仍可再答复.")
    ]
    corrected_by: Annotated[int, described("更正后的版本。 The revision that corrects it.")] | None
    forwarded_to: Annotated[str, described("转交给谁。 Who has to answer.")] | None
    text: Annotated[str, described("给本人的话。 What the person is told.")]
    answered_at: Annotated[str, instant("答复的时刻。 When it was answered.")] | None


class CorrectionRequest(Answer, frozen=True):
    """一次纠错。 One request to correct a record."""

    id: Annotated[str, described("编号。 Names it.")]
    region: RegionCode
    source_id: Annotated[str, described("记录的编号。 The record's id within the region.")]
    revision: Annotated[int, described("所指的版本。 The revision that was found wrong.")]
    laboratory: Annotated[str, described("检测机构。 The laboratory's id.")]
    kind: Annotated[str, one_of(CORRECTION_KIND, "类别。 What is wrong.")]
    text: Annotated[str, described("补充说明。 What the person said besides.")]
    requested_at: Annotated[str, instant("提出的时刻。 When it was kept.")]
    later_revision: (
        Annotated[int, described("此后的新版本，未有或已答复为 null。 The newest revision since; null without one.")]
        | None
    )
    answer: CorrectionAnswer | None


class CorrectResponse(Answer, frozen=True):
    """已送达检测机构。 The request as the region keeps it."""

    correction_request: CorrectionRequest
    created: Annotated[bool, described("同样的已在等待则为 false。 False when the same waits already.")]


class CorrectionsResponse(Answer, frozen=True):
    """本人提过的纠错，新者在前。 What the person asked to have corrected, newest first."""

    correction_requests: list[CorrectionRequest]
    coverage: Annotated[
        list[Coverage],
        described("有库未应答时，其中的纠错未列出。 Of a store that did not answer, nothing is said."),
    ]


def _request(message: correction_service_pb2.CorrectionRequest) -> CorrectionRequest:
    return CorrectionRequest(
        message.correction_request_id,
        message.region,
        message.source_id,
        message.revision,
        message.laboratory,
        CORRECTION_KIND[message.kind],
        message.text,
        answer.instant(message.requested_at),
        message.later_revision or None,
        CorrectionAnswer(
            CORRECTION_ANSWER[message.answer],
            message.corrected_by or None,
            message.forwarded_to or None,
            message.answer_text,
            maybe_instant(message, "answered_at"),
        )
        if message.answer
        else None,
    )


def correct_response(kept: pb.RequestCorrectionResponse) -> CorrectResponse:
    """Shows the request as it is kept."""
    return CorrectResponse(_request(kept.correction_request), kept.created)


def corrections_response(listed: pb.ListHolderCorrectionRequestsResponse) -> CorrectionsResponse:
    """Shows what a person asked to have corrected."""
    return CorrectionsResponse([_request(one) for one in listed.correction_requests], coverage(listed.coverage))
