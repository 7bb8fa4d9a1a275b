"""The environment names of OpenTelemetry: those that the exporter goes by, and those that say nothing here."""

from collections.abc import Iterable

PREFIX = "OTEL_"

HONOURED = frozenset(
    f"{PREFIX}{name}"
    for name in """
    RESOURCE_ATTRIBUTES SDK_DISABLED
    EXPORTER_OTLP_HEADERS EXPORTER_OTLP_TRACES_HEADERS
    EXPORTER_OTLP_TIMEOUT EXPORTER_OTLP_TRACES_TIMEOUT
    EXPORTER_OTLP_COMPRESSION EXPORTER_OTLP_TRACES_COMPRESSION
    EXPORTER_OTLP_CERTIFICATE EXPORTER_OTLP_TRACES_CERTIFICATE
    EXPORTER_OTLP_CLIENT_KEY EXPORTER_OTLP_TRACES_CLIENT_KEY
    EXPORTER_OTLP_CLIENT_CERTIFICATE EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE
    BSP_MAX_QUEUE_SIZE BSP_MAX_EXPORT_BATCH_SIZE BSP_EXPORT_TIMEOUT
    """.split()
)
"""OpenTelemetry's own exporter and processor take these from the environment, and nothing here overrides them."""

_INSTEAD = {
    "OTEL_EXPORTER_OTLP_ENDPOINT": "HUTONG_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "HUTONG_OTLP_ENDPOINT",
    "OTEL_TRACES_SAMPLER": "HUTONG_TRACE_RATIO",
    "OTEL_TRACES_SAMPLER_ARG": "HUTONG_TRACE_RATIO",
    "OTEL_LOG_LEVEL": "HUTONG_LOG_LEVEL",
}


def ignored(environ: Iterable[str], *, exports: bool) -> list[str]:
    """Returns a sentence for each name that says nothing here, with the setting that does; of a process that exports
    no spans that is every name."""
    sentences = []
    for name in sorted(environ):
        if not name.startswith(PREFIX) or (exports and name in HONOURED):
            continue
        instead = _INSTEAD.get(name, "" if exports else "HUTONG_OTLP_ENDPOINT")
        sentences.append(f"{name} is ignored" + (f"; {instead} is what counts" if instead else ""))
    return sentences
