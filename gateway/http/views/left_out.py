"""The part of an answer that says what it lacks, as JSON."""

from typing import Annotated

from hutong.gateway.v1 import left_out_pb2 as pb

from gateway.http.fields import described, one_of
from gateway.http.names import OPTIONAL_PART
from gateway.http.views import answer
from gateway.http.views.answer import Answer, Text


class LeftOut(Answer, frozen=True):
    """服务繁忙时省略的部分；其余照常有效。 What an answer lacks when there is too much to do; all the rest counts."""

    parts: Annotated[
        list[Annotated[str, one_of(OPTIONAL_PART, "省略的部分，对应字段为 null。 A part whose field is null.")]],
        described("省略了哪些。 Which are left out."),
    ]
    text: Text
    retry_after: Annotated[int, described("多少秒后再取。 After how many seconds to ask for the whole again.")]


def left_out(message: pb.LeftOut) -> LeftOut:
    """Shows what is left out."""
    parts = [OPTIONAL_PART[part] for part in message.parts]
    return LeftOut(parts, answer.text(message.text), message.retry_after.seconds)
