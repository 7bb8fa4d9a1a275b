"""Traces (W3C Trace Context) at no cost when they are not sampled.

Whether a request is sampled is decided first, in under a microsecond; only then are OpenTelemetry spans made, which
cost 20 to 90 microseconds each. Attributes never hold personal data: regions, statuses, counts and outcomes only.
"""

import random
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, Token

import msgspec
from msgspec.structs import replace
from opentelemetry import trace as otel
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from services.common.documents import may_hide_number

__all__ = ["SpanKind", "Trace", "Tracing", "current_span", "current_trace", "new_trace", "span"]

Attribute = str | int | bool

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_MANY_DIGITS = re.compile(r"[0-9]{17}")
# Ids must differ, not be secret: seeded by the system once, instead of asking it for every request.
_random = random.Random()


class Trace(msgspec.Struct, frozen=True, gc=False):
    """A position in a trace: the trace's id, the span's, and whether it is sampled."""

    trace_id: int
    span_id: int
    sampled: bool

    @property
    def hex_id(self) -> str:
        """The trace id as it stands in logs, 32 hexadecimal digits."""
        return f"{self.trace_id:032x}"

    def traceparent(self) -> str:
        """The value of the traceparent header (W3C Trace Context, version 00)."""
        # Where no span was made there is no span id, but zero would make the header invalid and lose the trace id.
        span_id = self.span_id or _random.getrandbits(64) or 1
        return f"00-{self.trace_id:032x}-{span_id:016x}-{'01' if self.sampled else '00'}"


class Tracing:
    """The tracing of this process: sends its spans on. Silent until configured."""

    def __init__(self) -> None:
        self._ratio = 0.0
        self._providers: dict[str, TracerProvider] = {}
        self._exporter: SpanExporter | None = None

    @property
    def ratio(self) -> float:
        """The share of new traces that is sampled."""
        return self._ratio

    def configure(self, exporter: SpanExporter | None, ratio: float) -> None:
        """Exports spans from now on, or stops when the exporter is None. `ratio` of new traces are sampled."""
        self._exporter = exporter
        self._ratio = ratio if exporter is not None else 0.0
        self._providers.clear()

    def tracer(self, service: str) -> otel.Tracer | None:
        """The tracer of a service of this process, or None when nothing is exported."""
        if self._exporter is None:
            return None
        provider = self._providers.get(service)
        if provider is None:
            provider = TracerProvider(resource=Resource.create({"service.name": service}), shutdown_on_exit=False)
            provider.add_span_processor(BatchSpanProcessor(self._exporter, schedule_delay_millis=500))
            self._providers[service] = provider
        return provider.get_tracer("hutong")

    def flush(self) -> None:
        """Hands every finished span to the exporter."""
        for provider in self._providers.values():
            provider.force_flush(5_000)


tracing = Tracing()
_trace: ContextVar[Trace | None] = ContextVar("hutong_trace", default=None)
_span: ContextVar["Span | None"] = ContextVar("hutong_span", default=None)


def _holds_number(trace_id: str) -> bool:
    # One trace id in two hundred has so many digits in a row by chance; of those, one in thousands is a number.
    return _MANY_DIGITS.search(trace_id) is not None and may_hide_number(trace_id)


def new_trace(traceparent: str | None) -> Trace:
    """Continues a caller's trace, or begins one, also on a malformed header and on one into which somebody has written
    a document's number. A caller's decision to sample is kept."""
    if traceparent is not None:
        match = _TRACEPARENT.fullmatch(traceparent)
        if match is not None and int(match[1], 16) and int(match[2], 16) and not _holds_number(match[1]):
            return Trace(int(match[1], 16), int(match[2], 16), bool(int(match[3], 16) & 1))
    ratio = tracing.ratio
    return Trace(_random.getrandbits(128) or 1, 0, ratio > 0 and _random.random() < ratio)


Traces = Callable[[str | None], Trace]
"""Makes the trace of a request from the traceparent its caller sent, or from none: `new_trace`, or a stricter one."""


def asked_at_most(rate: float, clock: Callable[[], float] = time.monotonic) -> Traces:
    """`new_trace` for a door that strangers come to: of callers' decisions to sample, at most `rate` a second are kept,
    or as many at once after a quiet second. Beyond, their trace goes on by its id, unsampled. `clock` is in seconds."""
    most = max(1.0, rate)
    left, told = (most if rate > 0 else 0.0), clock()

    def trace(traceparent: str | None) -> Trace:
        nonlocal left, told
        made = new_trace(traceparent)
        if not made.sampled or not made.span_id:
            # Unsampled, or begun and sampled here.
            return made
        now = clock()
        left, told = min(most if rate > 0 else 0.0, left + (now - told) * rate), now
        if left < 1:
            return replace(made, sampled=False)
        left -= 1
        return made

    return trace


def current_trace() -> Trace | None:
    """The position in the current trace."""
    return _trace.get()


def enter_trace(trace: Trace) -> Token[Trace | None]:
    """Moves the current position without making a span; hand what is returned to `leave_trace`."""
    return _trace.set(trace)


def leave_trace(token: Token[Trace | None]) -> None:
    """Undoes `enter_trace`."""
    _trace.reset(token)


class Span:
    """A span that may be recorded. Setting attributes on one that is not costs nothing."""

    __slots__ = ("_span", "trace")

    def __init__(self, span: otel.Span | None, trace: Trace) -> None:
        self._span = span
        self.trace = trace

    @property
    def recording(self) -> bool:
        """Tells if attributes will be seen by anyone."""
        return self._span is not None

    def set(self, **attributes: Attribute) -> None:
        """Sets attributes; an underscore in a name becomes a dot, so region_code is region.code."""
        if self._span is not None:
            self._span.set_attributes({name.replace("_", "."): value for name, value in attributes.items()})

    def fail(self, reason: str) -> None:
        """Marks the span as failed, with a stable reason."""
        if self._span is not None:
            self._span.set_status(Status(StatusCode.ERROR, reason))


def current_span() -> Span | None:
    """The innermost span that is recorded, for attributes known only further in; None where nothing is."""
    return _span.get()


@contextmanager
def span(
    service: str,
    name: str,
    kind: SpanKind = SpanKind.INTERNAL,
    trace: Trace | None = None,
    attributes: Mapping[str, Attribute] | None = None,
) -> Iterator[Span]:
    """A span of `service` below `trace`, or below the current position. The position moves to it meanwhile."""
    parent = trace or _trace.get() or new_trace(None)
    tracer = tracing.tracer(service) if parent.sampled else None
    if tracer is None:
        token = _trace.set(parent)
        try:
            yield Span(None, parent)
        finally:
            _trace.reset(token)
        return
    context = None
    if parent.span_id:
        remote = SpanContext(parent.trace_id, parent.span_id, is_remote=True, trace_flags=TraceFlags(1))
        context = otel.set_span_in_context(NonRecordingSpan(remote))
    made = tracer.start_span(name, context=context, kind=kind, attributes=dict(attributes or {}))
    own = made.get_span_context()
    here = Trace(own.trace_id, own.span_id, sampled=True)
    token = _trace.set(here)
    recorded = Span(made, here)
    entered = _span.set(recorded)
    try:
        yield recorded
    except BaseException as error:
        made.set_status(Status(StatusCode.ERROR, getattr(error, "reason", type(error).__name__)))
        raise
    finally:
        _span.reset(entered)
        _trace.reset(token)
        made.end()
