"""Names of OpenTelemetry in the environment are honoured, or named as ignored."""

import inspect

from opentelemetry.exporter.otlp.proto.grpc import exporter as otlp
from opentelemetry.exporter.otlp.proto.grpc import trace_exporter
from opentelemetry.sdk import resources, trace
from opentelemetry.sdk.trace import export

from services.runtime.telemetry.otel_names import HONOURED, ignored


def test_what_is_honoured_is_what_opentelemetry_reads():
    """Each name stands in the code that reads it: one that a later version drops would be promised for nothing."""
    read = "".join(inspect.getsource(module) for module in (otlp, trace_exporter, resources, trace, export))
    assert [] == sorted(name for name in HONOURED if name not in read)


def test_what_says_nothing_is_named_with_what_does():
    """The endpoint and the sampler are settings of one's own; what no code reads has no setting instead."""
    environ = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_PROPAGATORS", "HUTONG_LISTEN", "PATH"]
    assert [
        "OTEL_EXPORTER_OTLP_ENDPOINT is ignored; HUTONG_OTLP_ENDPOINT is what counts",
        "OTEL_PROPAGATORS is ignored",
    ] == ignored(environ, exports=True)


def test_without_an_exporter_every_name_is_ignored():
    """And the setting that would make it count is named."""
    assert ["OTEL_EXPORTER_OTLP_HEADERS is ignored; HUTONG_OTLP_ENDPOINT is what counts"] == ignored(
        ["OTEL_EXPORTER_OTLP_HEADERS"], exports=False
    )
