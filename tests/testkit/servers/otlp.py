"""An OTLP collector in the test process: keeps the spans it is sent and tells them as trees of data."""

from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as collector
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as collector_grpc
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

Tree = dict[str, Any]
"""A span as data: service, name, then attributes, error and children where there are any."""


@dataclass(frozen=True, slots=True)
class Received:
    """One span, with the name of the service that made it."""

    service: str
    span: Span

    @property
    def attributes(self) -> dict[str, str | int | bool]:
        """The span's attributes."""
        return _plain(self.span.attributes)


def _plain(attributes: Sequence[KeyValue]) -> dict[str, str | int | bool]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value") or "string_value") for pair in attributes}


@dataclass(slots=True)
class Collector(collector_grpc.TraceServiceServicer):
    """Keeps the spans received so far. `endpoint` is the address to send them to."""

    endpoint: str = ""
    spans: list[Received] = field(default_factory=list)

    def Export(self, request: collector.ExportTraceServiceRequest, context: object) -> Any:
        """Keeps the spans of one request."""
        for resource in request.resource_spans:
            service = str(_plain(resource.resource.attributes)["service.name"])
            self.spans += [Received(service, span) for scope in resource.scope_spans for span in scope.spans]
        return collector.ExportTraceServiceResponse()

    def trace(self, trace_id: str) -> list[Received]:
        """The spans of one trace, 32 hexadecimal digits, by the time they began."""
        found = [one for one in self.spans if one.span.trace_id.hex() == trace_id]
        return sorted(found, key=lambda one: one.span.start_time_unix_nano)

    def trees(self, trace_id: str, attributes: Collection[str] = ()) -> list[Tree]:
        """One trace as data, with no more than these attributes; siblings by service and name.

        A span whose parent was never received is a root, so a trace that is whole has one, or one whose parent is the
        test's own.
        """
        spans = self.trace(trace_id)
        known = {one.span.span_id for one in spans}

        def tree(one: Received) -> Tree:
            node: Tree = {"service": one.service, "name": one.span.name}
            kept = {name: value for name, value in one.attributes.items() if name in attributes}
            if kept:
                node["attributes"] = kept
            if one.span.status.code == Status.STATUS_CODE_ERROR:
                node["error"] = one.span.status.message
            below = siblings([child for child in spans if child.span.parent_span_id == one.span.span_id])
            if below:
                node["children"] = below
            return node

        def siblings(found: list[Received]) -> list[Tree]:
            return [tree(one) for one in sorted(found, key=lambda one: (one.service, one.span.name))]

        return siblings([one for one in spans if one.span.parent_span_id not in known])


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector on a free loopback port."""
    receiver = Collector()
    server = grpc.server(ThreadPoolExecutor(2))
    collector_grpc.add_TraceServiceServicer_to_server(receiver, server)
    receiver.endpoint = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield receiver
    finally:
        server.stop(0).wait()
