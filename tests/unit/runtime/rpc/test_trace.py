"""Spans, and the trace id in logs."""

import json
import logging
import sys

import pytest
from hutong.records.v1 import record_read_service_pb2 as read_pb
from hypothesis import given
from hypothesis import strategies as st

from services.common.errors import NotFound, ServiceError
from services.runtime.telemetry.logs import JsonLines
from services.runtime.telemetry.trace import SpanKind, Trace, asked_at_most, current_trace, new_trace, span, tracing
from tests.testkit.fakes.servicer import REQUEST, Servicer

LIST = "hutong.records.v1.RecordReadService/ListRecords"


async def answer(request):
    """An answer, under a span of the store's."""
    with span("records", "store.read", SpanKind.CLIENT, attributes={"region": "110000"}) as here:
        here.set(rows=3, db_system="sqlite")
    return read_pb.ListRecordsResponse()


async def test_spans_of_a_call_form_one_tree(transport, traced):
    """The same tree over a wire and within a process: the callee's span is below the caller's innermost one."""
    async with transport(Servicer(answer)) as records:
        with span("gateway", "show code", SpanKind.SERVER) as root, span("gateway", "ask", SpanKind.CLIENT):
            await records.ListRecords(REQUEST)
    tracing.flush()
    store = {"service": "records", "name": "store.read", "attributes": {"region": "110000", "rows": 3}}
    expected = {
        "service": "gateway",
        "name": "show code",
        "children": [
            {
                "service": "gateway",
                "name": "ask",
                "children": [{"service": "records", "name": LIST, "children": [store]}],
            }
        ],
    }
    assert [expected] == traced.trees(root.trace.hex_id, {"region", "rows"})


async def test_a_failed_call_says_why(transport, traced):
    """The span has the reason as its status, and no text."""

    async def fail(request):
        raise NotFound("RECORD_NOT_FOUND", "记录不存在", "No such record")

    async with transport(Servicer(fail)) as records:
        with span("gateway", "show code") as root, pytest.raises(ServiceError):
            await records.ListRecords(REQUEST)
    tracing.flush()
    failed = {"service": "records", "name": LIST, "error": "RECORD_NOT_FOUND"}
    assert [{"service": "gateway", "name": "show code", "children": [failed]}] == traced.trees(root.trace.hex_id)


async def test_an_unsampled_call_makes_no_span(transport, traced):
    """The decision is taken once, at the first hop, and kept by all."""
    trace = Trace(0xABC, 0, sampled=False)
    async with transport(Servicer(answer)) as records:
        with span("gateway", "show code", trace=trace) as root:
            assert not root.recording
            await records.ListRecords(REQUEST)
    tracing.flush()
    assert [] == traced.trace(trace.hex_id)


def test_without_a_collector_nothing_is_sampled():
    """Silent when not configured."""
    assert not any(new_trace(None).sampled for _ in range(100))
    with span("gateway", "show code", trace=Trace(1, 1, sampled=True)) as root:
        assert not root.recording


@given(st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1), st.booleans())
def test_a_traceparent_survives_its_way(trace_id, span_id, sampled):
    """What is sent is what is received."""
    trace = Trace(trace_id, span_id, sampled)
    assert trace == new_trace(trace.traceparent())


@pytest.mark.parametrize(
    "header",
    ["", "00-abc", f"00-{'0' * 32}-{'1' * 16}-01", f"00-{'1' * 32}-{'0' * 16}-01", f"00-{'G' * 32}-{'1' * 16}-01"],
)
def test_a_malformed_traceparent_begins_a_trace(header):
    """A caller's mistake costs its trace and nothing else."""
    begun = new_trace(header)
    assert (0, False) == (begun.span_id, begun.sampled)
    assert begun.trace_id not in (0, int("1" * 32, 16))


def line(**extra: object) -> dict[str, object]:
    """One log line, as it is written."""
    record = logging.LogRecord("hutong.test", logging.WARNING, __file__, 1, "缓慢 %s", ("store",), None)
    record.__dict__.update(extra)
    written = JsonLines().format(record)
    assert "\n" not in written
    return dict(json.loads(written))


def test_a_log_line_is_json_and_carries_the_trace_id():
    """Also where the trace is not sampled; outside of any trace there is none to carry."""
    assert "trace_id" not in line()
    with span("gateway", "show code", trace=Trace(0xABC, 1, sampled=False)):
        written = line(region="110000")
    assert ("WARNING", "hutong.test", "缓慢 store", f"{0xABC:032x}", "110000") == tuple(
        written[key] for key in ("level", "logger", "message", "trace_id", "region")
    )
    assert str(written["time"]).endswith("+00:00")


def test_an_exception_is_logged_by_its_place_and_not_by_its_words():
    """Its message may quote what was being worked on, a document number too."""
    number = "4301021905" + "11116063"
    try:
        raise ValueError(number)
    except ValueError:
        written = JsonLines().format(logging.LogRecord("x", logging.ERROR, __file__, 1, "failed", (), sys.exc_info()))
    assert number not in written
    assert "ValueError" == json.loads(written)["exception"]
    assert "test_trace.py" in json.loads(written)["where"]


def test_a_span_leaves_the_position_as_it_was():
    """Also when what it covers fails."""
    with pytest.raises(KeyError), span("gateway", "show code"):
        raise KeyError("x")
    assert current_trace() is None


ASKED = Trace(1, 2, sampled=True).traceparent()


def test_strangers_are_traced_at_a_bounded_rate():
    """As many at once as the rate has in a second, then as they come in; their trace goes on by its id all the same."""
    now = 0.0
    traces = asked_at_most(2, lambda: now)
    at_once = [traces(ASKED) for _ in range(4)]
    now = 0.5
    later = [traces(ASKED) for _ in range(2)]
    now = 100.0
    rested = [traces(ASKED) for _ in range(3)]
    assert [True, True, False, False] == [trace.sampled for trace in at_once]
    assert [True, False] == [trace.sampled for trace in later]
    assert [True, True, False] == [trace.sampled for trace in rested]
    assert {(1, 2)} == {(trace.trace_id, trace.span_id) for trace in at_once}


def test_strangers_may_be_refused_any_trace():
    """At a rate of 0, for ever."""
    now = 0.0
    traces = asked_at_most(0, lambda: now)
    now = 1e9
    assert not traces(ASKED).sampled


def test_a_rate_below_one_a_second_gives_one_at_times():
    """Half a request a second is one every two seconds."""
    now = 0.0
    traces = asked_at_most(0.5, lambda: now)
    sampled = []
    for second in range(6):
        now = float(second)
        sampled.append(traces(ASKED).sampled)
    assert [True, False, True, False, True, False] == sampled


def test_what_the_ratio_picks_is_not_counted(traced):
    """Nor are requests whose callers do not ask: they take nothing from those that do."""
    traces = asked_at_most(1, lambda: 0.0)
    for _ in range(5):
        assert traces(None).sampled
        assert not traces(Trace(1, 2, sampled=False).traceparent()).sampled
    assert traces(ASKED).sampled
