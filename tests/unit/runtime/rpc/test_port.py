"""Ports: what a caller declares is held against the contracts, and mypy follows a call through it."""

from collections.abc import AsyncIterator
from typing import Any, Protocol, assert_type

import pytest
from hutong.records.v1.change_feed_service_pb2 import WatchChangesRequest, WatchChangesResponse
from hutong.records.v1.record_read_service_pb2 import ListRecordsRequest, ListRecordsResponse

from services.runtime.rpc.binding import Binding, local
from services.runtime.rpc.channel import Channels
from services.runtime.rpc.port import contract_methods
from services.runtime.tls.identity import store_of
from tests.testkit.fakes.servicer import READ, REQUEST, Servicer


class Reads(Protocol):
    """One method of one contract."""

    async def ListRecords(self, request: ListRecordsRequest, /) -> ListRecordsResponse:
        """See the contract."""


class ReadsAndWatches(Reads, Protocol):
    """Methods of two contracts."""

    def WatchChanges(self, request: WatchChangesRequest, /) -> AsyncIterator[WatchChangesResponse]:
        """See the contract."""


class Misnamed(Protocol):
    """A method that no contract has."""

    async def ListEverything(self, request: ListRecordsRequest, /) -> ListRecordsResponse:
        """Nowhere."""


class OtherAnswer(Protocol):
    """A method with another answer than the contract's."""

    async def ListRecords(self, request: ListRecordsRequest, /) -> WatchChangesResponse:
        """Not so."""


class NotStreamed(Protocol):
    """A stream of answers, taken for one."""

    async def WatchChanges(self, request: WatchChangesRequest, /) -> WatchChangesResponse:
        """Not so."""


async def answered(request: ListRecordsRequest) -> ListRecordsResponse:
    """Serves a list."""
    return ListRecordsResponse()


async def test_a_port_is_what_it_was_declared_as():
    """Of two contracts, inherited: each method is its contract's; no type is lost on the way (checked by mypy)."""
    methods = contract_methods(ReadsAndWatches)
    assert {"ListRecords": "RecordReadService", "WatchChanges": "ChangeFeedService"} == {
        name: method.containing_service.name for name, method in methods.items()
    }
    servicer = Servicer(answered)
    port = assert_type(local(Reads, [Binding(READ, servicer)], service="records", caller="test"), Reads)
    assert_type(await port.ListRecords(REQUEST), ListRecordsResponse)
    async with Channels("test") as channels:
        remote = assert_type(
            channels.remote(ReadsAndWatches, "127.0.0.1:1", peer=store_of("430000"), service="records"), ReadsAndWatches
        )
        assert ["ListRecords", "WatchChanges"] == sorted(vars(remote))


@pytest.mark.parametrize("port", [Misnamed, OtherAnswer, NotStreamed])
def test_a_port_that_is_not_as_the_contract_is_refused(port: type[Any]):
    """When it is composed, not when it is called."""
    with pytest.raises(TypeError, match=port.__name__):
        contract_methods(port)


def test_a_port_with_more_than_is_served_is_refused():
    """A service in this process that lacks a method."""
    with pytest.raises(TypeError, match="records does not serve ReadsAndWatches"):
        local(
            ReadsAndWatches,
            [Binding(READ, Servicer(answered))],
            service="records",
            caller="test",
        )
