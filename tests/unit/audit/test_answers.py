"""The digest in a line is of the whole answer, and nothing is made twice for it."""

import time

from google.protobuf.message import Message
from hutong.common.v1.subject_pb2 import Purpose
from hutong.gateway.v1.health_code_service_pb2 import ShowHealthCodeRequest

from gateway.http.routing import Reply
from services.runtime.rpc.access import NamedCallers
from services.runtime.rpc.call import Call, note_person
from services.runtime.rpc.pipeline import Pipeline
from services.runtime.telemetry.trace import new_trace

METHOD = "hutong.gateway.v1.HealthCodeService/ShowHealthCode"


class Kept:
    """An auditor that keeps what it is given."""

    def __init__(self) -> None:
        self.answers: list[bytes] = []
        self.persons: list[bytes] = []

    async def answered(self, call: Call, method: str, request: Message, outcome: str, answer: bytes) -> None:
        self.answers.append(answer)
        self.persons += call.meter.persons if call.meter is not None else []

    async def denied(self, call: Call, method: str, request: Message, reason: str) -> None:
        raise AssertionError(reason)


async def audited(reply: Reply) -> Kept:
    """Returns what the auditor was given of a reply."""
    kept = Kept()

    async def handler(request: Message) -> Reply:
        note_person(b"a person key")
        return reply

    call = Call("test", time.monotonic() + 5, new_trace(None))
    pipeline = Pipeline("gateway", NamedCallers(Purpose.PURPOSE_SHOW_CODE), kept)
    await pipeline.unary(METHOD, handler, ShowHealthCodeRequest(), call)
    return kept


async def test_what_is_kept_ready_counts():
    """Two codes that begin alike, and of which the rest differs, have two digests."""
    one = await audited(Reply(b"{", kept=b"red}", kept_digest=b"1"))
    other = await audited(Reply(b"{", kept=b"green}", kept_digest=b"2"))
    assert one.answers != other.answers


async def test_the_key_that_was_made_is_the_one_that_is_written():
    """The auditor is given it."""
    assert [b"a person key"] == (await audited(Reply(b"{}"))).persons
