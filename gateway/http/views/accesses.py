"""The looks at a person's data, as JSON."""

from typing import Annotated

from hutong.gateway.v1 import health_code_service_pb2 as pb

from gateway.http.fields import described, instant, one_of
from gateway.http.names import PURPOSE
from gateway.http.views import answer
from gateway.http.views.answer import Answer


class Access(Answer, frozen=True):
    """一次查询或查询未遂。 One look at a person's data, or an attempt at one."""

    at: Annotated[str, instant("应答的时刻。 When it was answered.")]
    caller: Annotated[
        str,
        described(
            "谁在查询：个人只说角色，其余如 region/430000/venue/south-station。 Who asked: of people the role alone."
        ),
    ]
    method: Annotated[str, described("合约中的方法。 The method of the contract.")]
    purpose: Annotated[str, one_of(PURPOSE, "使用目的。 Why.")] | None
    outcome: Annotated[str, described("OK，或被拒的原因。 OK, or the reason why it was refused.")]
    trace_id: Annotated[str, described("追踪号，可凭此询问运维。 The trace, to ask an operator with.")]


class AccessesResponse(Answer, frozen=True):
    """谁查过我，新者在前。 The looks at the data of the person of the token, newest first."""

    accesses: list[Access]
    next_page_token: (
        Annotated[
            str,
            described("一页可能不满甚至为空而仍有下一页。 A page may be short, or empty, and have a next one."),
        ]
        | None
    )


def accesses_response(page: pb.ListAccessesResponse) -> AccessesResponse:
    """Shows a page of looks."""
    return AccessesResponse(
        [
            Access(
                answer.instant(one.at),
                one.caller,
                one.method,
                PURPOSE.maybe(one.purpose),
                one.outcome,
                one.trace_id,
            )
            for one in page.accesses
        ],
        page.next_page_token or None,
    )
