"""A person's results, and what the holder did with them."""

from collections.abc import Sequence
from typing import Annotated

from hutong.gateway.v1 import health_code_service_pb2 as pb
from msgspec import UNSET, UnsetType

from gateway.http.fields import RegionCode, described, one_of
from gateway.http.names import SCOPE
from gateway.http.views.answer import Answer, Text, text
from gateway.http.views.errors import ItemError, item_error
from gateway.http.views.evidence import Coverage, TestRecord, coverage, test_record
from services.common.errors import ServiceError


class Result(Answer, frozen=True):
    """一次检测。 One test."""

    record: TestRecord
    origin_region: Annotated[str, described("出处地区。 The region it comes from.")]
    copied_to: Annotated[list[RegionCode], described("另存有副本的地区。 Other regions whose own record holds a copy.")]


class Laboratory(Answer, frozen=True):
    """检测机构。 A laboratory as people are told of it."""

    laboratory: Annotated[str, described("编号。 Its id.")]
    display_name: Text
    contact: (
        Annotated[str, described("咨询电话，未登记为 null。 The telephone to call about a result; null without one.")]
        | None
    )


class ResultsResponse(Answer, frozen=True):
    """检测结果，新者在前。 Results, newest first."""

    results: Annotated[list[Result], described("撤回的除外。 Withdrawn ones are left out.")]
    coverage: Annotated[
        list[Coverage],
        described("有源未应答时，空列表不等于没有检测。 With an unreachable source, an empty list is not no test."),
    ]
    next_page_token: Annotated[str, described("末页为 null。 Null on the last page.")] | None
    laboratories: Annotated[
        list[Laboratory], described("所涉已登记机构。 The registered laboratories of these results.")
    ]


class ResultsOutcome(Answer, frozen=True):
    """一人的检测结果。 One person's results, the first page of 50."""

    results: ResultsResponse | UnsetType = UNSET
    error: ItemError | UnsetType = UNSET


class BatchResultsResponse(Answer, frozen=True):
    """多人的检测结果。 Many people's results."""

    outcomes: Annotated[list[ResultsOutcome], described("逐项对应。 One for each document, in order.")]


class ClaimResponse(Answer, frozen=True):
    """纳入的结果。 The claimed result."""

    result: Result
    created: Annotated[bool, described("此前已纳入则为 false。 False when it had been claimed before.")]


class SwitchResponse(Answer, frozen=True):
    """开关位置。 The switch's position."""

    scope: Annotated[str, one_of(SCOPE, "现用范围。 The scope that now applies.")]


def _result(view: pb.ResultView) -> Result:
    return Result(test_record(view.record), view.origin_region, list(view.copied_to))


def results_response(page: pb.ListResultsResponse) -> ResultsResponse:
    """Shows a page of one person's results."""
    return ResultsResponse(
        [_result(view) for view in page.results],
        coverage(page.coverage),
        page.next_page_token or None,
        [Laboratory(one.laboratory, text(one.display_name), one.contact or None) for one in page.laboratories],
    )


def batch_results_response(pages: Sequence[pb.ListResultsResponse | ServiceError]) -> BatchResultsResponse:
    """Shows the first page of many people's results, or why there is none."""
    return BatchResultsResponse(
        [
            ResultsOutcome(error=item_error(page))
            if isinstance(page, ServiceError)
            else ResultsOutcome(results=results_response(page))
            for page in pages
        ]
    )


def claim_response(claimed: pb.ClaimResultResponse) -> ClaimResponse:
    """Shows the copy, with its origin."""
    return ClaimResponse(_result(claimed.result), claimed.created)


def switch_response(switched: pb.SwitchScopeResponse) -> SwitchResponse:
    """Shows the switch's position."""
    return SwitchResponse(SCOPE[switched.scope])
