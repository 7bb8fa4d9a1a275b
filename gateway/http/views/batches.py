"""Many codes at once."""

from collections.abc import Sequence
from typing import Annotated, cast

import msgspec
from hutong.common.v1.subject_pb2 import Purpose
from hutong.gateway.v1 import health_code_service_pb2 as pb
from msgspec import UNSET, UnsetType

from gateway.application import application
from gateway.application.purpose_views import narrowed
from gateway.codes.codes import Shown, Summaries
from gateway.http.fields import described, instant, one_of
from gateway.http.names import COLOUR, FRESHNESS, STATUS
from gateway.http.views.answer import Answer, Text, maybe_instant, text
from gateway.http.views.code import HealthCode, code_json
from gateway.http.views.errors import ItemError, item_error
from gateway.http.views.regions import Region, region
from services.common.errors import ServiceError


class Outcome(Answer, frozen=True):
    """一项结果。 One item's outcome."""

    code: HealthCode | UnsetType = UNSET
    error: ItemError | UnsetType = UNSET


class BatchShowResponse(Answer, frozen=True):
    """批量亮码结果。 Many codes."""

    outcomes: Annotated[list[Outcome], described("逐项对应。 One for each question, in order.")]


class CodeSummary(Answer, frozen=True):
    """一码之要。 What a traveller wants to know of a code."""

    status: Annotated[str, one_of(STATUS, "结论。 The answer.")]
    colour: Annotated[str, one_of(COLOUR, "颜色。 What the region shows for it.")]
    valid_until: Annotated[str, instant("认可到期。 When recognition ends by time alone.")] | None
    reason: Annotated[str, described("首要依据或原因的代码。 The clause or code of the first ground or reason.")] | None
    text: Annotated[
        Text | None,
        described(
            "与前一地同一原因的文字相同时为 null。 Null where a region before it says the same words of that reason."
        ),
    ]
    freshness: Annotated[str, one_of(FRESHNESS, "同码。 As of a code.")]


class Destination(Answer, frozen=True):
    """一个目的地。 One destination."""

    region: Region
    summary: CodeSummary | UnsetType = UNSET
    code: HealthCode | UnsetType = UNSET
    error: ItemError | UnsetType = UNSET


class DestinationsResponse(Answer, frozen=True):
    """各地结论。 The code in each region."""

    destinations: Annotated[list[Destination], described("按所问次序或代码。 In the order asked, else by code.")]


def _code(shown: Shown, purpose: Purpose.ValueType) -> HealthCode:
    # A code is bytes kept ready: msgspec puts them in as they are.
    return cast(HealthCode, msgspec.Raw(code_json(shown, purpose)))


def batch_show_response(codes: Sequence[Shown | ServiceError], purpose: Purpose.ValueType) -> BatchShowResponse:
    """Shows many codes as their purpose sees them, or why there is none."""
    return BatchShowResponse(
        [
            Outcome(error=item_error(code)) if isinstance(code, ServiceError) else Outcome(code=_code(code, purpose))
            for code in codes
        ]
    )


def destinations_response(
    destinations: Sequence[application.Destination], purpose: Purpose.ValueType, *, full: bool
) -> DestinationsResponse:
    """Shows the code in each region, whole or what matters of it, or why there is none."""
    summaries = Summaries()
    return DestinationsResponse([_destination(one, purpose, summaries, full=full) for one in destinations])


def _destination(
    destination: application.Destination, purpose: Purpose.ValueType, summaries: Summaries, *, full: bool
) -> Destination:
    where = region(destination.region)
    if isinstance(destination.code, ServiceError):
        return Destination(where, error=item_error(destination.code))
    if full:
        return Destination(where, code=_code(destination.code, purpose))
    return Destination(where, summary=_summary(narrowed(summaries.of(destination.code), purpose)))


def _summary(message: pb.CodeSummary) -> CodeSummary:
    return CodeSummary(
        status=STATUS[message.status],
        colour=COLOUR[message.colour],
        valid_until=maybe_instant(message, "valid_until"),
        reason=message.reason or None,
        text=text(message.text) if message.HasField("text") else None,
        freshness=FRESHNESS[message.freshness],
    )
