"""Many codes at once."""

from collections.abc import Sequence
from typing import Annotated, cast

import msgspec
from msgspec import UNSET, UnsetType

from gateway.application import application
from gateway.codes.codes import Shown
from gateway.http.fields import described
from gateway.http.views.answer import Answer
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


class Destination(Answer, frozen=True):
    """一个目的地。 One destination."""

    region: Region
    code: HealthCode | UnsetType = UNSET
    error: ItemError | UnsetType = UNSET


class DestinationsResponse(Answer, frozen=True):
    """各地结论。 The code in each region."""

    destinations: Annotated[list[Destination], described("按所问次序或代码。 In the order asked, else by code.")]


def _code(shown: Shown) -> HealthCode:
    # A code is bytes kept ready: msgspec puts them in as they are.
    return cast(HealthCode, msgspec.Raw(code_json(shown)))


def batch_show_response(codes: Sequence[Shown | ServiceError]) -> BatchShowResponse:
    """Shows many codes, or why there is none."""
    return BatchShowResponse(
        [
            Outcome(error=item_error(code)) if isinstance(code, ServiceError) else Outcome(code=_code(code))
            for code in codes
        ]
    )


def destinations_response(destinations: Sequence[application.Destination]) -> DestinationsResponse:
    """Shows the code in each region, or why there is none."""
    return DestinationsResponse(
        [
            Destination(region(one.region), error=item_error(one.code))
            if isinstance(one.code, ServiceError)
            else Destination(region(one.region), code=_code(one.code))
            for one in destinations
        ]
    )
