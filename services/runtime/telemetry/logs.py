"""Logs as JSON lines on standard error, each with the trace it belongs to."""

import json
import logging
import sys
import traceback
from datetime import UTC, datetime

from services.runtime.telemetry.repetition import Repetition
from services.runtime.telemetry.trace import current_trace

_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class JsonLines(logging.Formatter):
    """One JSON object a line: time (UTC), level, logger, message, trace_id, then whatever was passed as `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        trace = current_trace()
        if trace is not None:
            line["trace_id"] = trace.hex_id
        line.update((key, value) for key, value in record.__dict__.items() if key not in _STANDARD)
        if record.exc_info and record.exc_info[0] is not None:
            # Where it happened, and not its message: that may quote what was being worked on, a document number too.
            line["exception"] = record.exc_info[0].__name__
            line["where"] = "".join(traceback.format_tb(record.exc_info[2]))
        return json.dumps(line, ensure_ascii=False, default=str)


def configure_logs(level: str) -> None:
    """Sends every log of the process to standard error as JSON lines; repeated warnings back
    off. Raises ValueError for an unknown level."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    handler.addFilter(Repetition())
    logging.basicConfig(level=level, handlers=[handler], force=True)
