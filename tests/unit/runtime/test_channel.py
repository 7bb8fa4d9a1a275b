"""Calls over a wire: what is retried, and what is not."""

from pathlib import Path

import grpc
import pytest
from hutong.records.v1 import record_read_service_pb2 as read_pb

from services.common.errors import Code, ServiceError, Text
from services.runtime import channel, server
from tests.support.contract import REQUEST, Servicer, over_a_wire

ATTEMPTS = 3


class Failing:
    """Fails the first calls with a code, then answers; counts them."""

    def __init__(self, code: Code, times: int) -> None:
        self._code = code
        self._times = times
        self.calls = 0

    async def __call__(self, request: object) -> read_pb.ListRecordsResponse:
        """One call."""
        self.calls += 1
        if self.calls <= self._times:
            raise ServiceError(self._code, "FAILS_FOR_NOW", Text("暂时失败", "Fails for now"))
        return read_pb.ListRecordsResponse()


async def test_a_service_that_is_unavailable_is_asked_again():
    """A replica that restarts costs its callers a moment, not an error."""
    failing = Failing(Code.UNAVAILABLE, ATTEMPTS - 1)
    async with over_a_wire(Servicer(failing)) as records:
        assert read_pb.ListRecordsResponse() == await records.ListRecords(REQUEST)
    assert ATTEMPTS == failing.calls


async def test_it_is_not_asked_for_ever():
    """The error that reaches the caller is the service's own."""
    failing = Failing(Code.UNAVAILABLE, 100)
    async with over_a_wire(Servicer(failing)) as records:
        with pytest.raises(ServiceError) as raised:
            await records.ListRecords(REQUEST)
    assert (ATTEMPTS, Code.UNAVAILABLE, "FAILS_FOR_NOW") == (failing.calls, raised.value.code, raised.value.reason)


@pytest.mark.parametrize("code", sorted(set(Code) - {Code.UNAVAILABLE}), ids=lambda code: code.name)
async def test_what_another_attempt_does_not_mend_is_not_retried(code):
    """Load least of all: a service that has too much to do gets no more."""
    failing = Failing(code, 100)
    async with over_a_wire(Servicer(failing)) as records:
        with pytest.raises(ServiceError) as raised:
            await records.ListRecords(REQUEST)
    assert (1, code) == (failing.calls, raised.value.code)


def test_grpc_knows_every_option_by_its_name():
    """It passes over one that it does not know, and a server would go on cutting off streams that ping it."""
    core = next(Path(grpc.__file__).parent.glob("_cython/cygrpc*.so")).read_bytes()
    unknown = [name for name, _ in (*server._OPTIONS, *channel._OPTIONS) if name.encode() not in core]
    assert [] == unknown
