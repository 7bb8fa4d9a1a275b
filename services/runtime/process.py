"""A process of the mesh: uvloop, JSON logs, telemetry, and signals that end it cleanly."""

import asyncio
import gc
import logging
import os
import resource
import signal
from collections.abc import Awaitable, Callable

import uvloop

from services.runtime.settings.environment import ServerSettings
from services.runtime.telemetry.logs import configure_logs
from services.runtime.telemetry.otel_names import ignored
from services.runtime.telemetry.trace import tracing

log = logging.getLogger("hutong.process")


def configure_process(settings: ServerSettings) -> None:
    """Logs and spans of this process, as its settings say; and fewer, larger garbage collections."""
    # Messages and futures die by reference count. The default threshold of 700 walks a warm cache over and over: a
    # tenth of the CPU of an uncached code.
    gc.set_threshold(50_000, 20, 20)
    # A thousand idle connections must not use up what the system would give: the usual soft limit is 1,024.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    configure_logs(settings.log_level)
    for sentence in ignored(os.environ, exports=bool(settings.otlp_endpoint)):
        log.warning(sentence)
    if settings.otlp_endpoint:
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

        tracing.configure(
            OTLPSpanExporter(endpoint=settings.otlp_endpoint, insecure=settings.otlp_endpoint.startswith("http://")),
            settings.trace_ratio,
        )


async def stop_signal() -> None:
    """Returns at the first SIGTERM or SIGINT of the process."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()


def run(main: Callable[[], Awaitable[None]], settings: ServerSettings) -> None:
    """Runs a process's main coroutine to its end, then hands in the last spans."""
    configure_process(settings)

    async def whole() -> None:
        await main()

    try:
        uvloop.run(whole())
    finally:
        tracing.flush()
