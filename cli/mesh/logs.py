"""Logs of a mesh that runs at a terminal: everything into a file, warnings alone to the terminal."""

import logging
import logging.handlers
import os
import sys
from pathlib import Path

from services.runtime.telemetry.logs import JsonLines
from services.runtime.telemetry.repetition import Repetition

_BYTES = 10_000_000
_FILES = 3


def configure_terminal_logs(data: Path) -> Path:
    """Sends JSON lines to DATA/logs/hutong.log, kept small, and warnings to standard error; returns the file."""
    path = data / "logs" / "hutong.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    file = logging.handlers.RotatingFileHandler(path, maxBytes=_BYTES, backupCount=_FILES, encoding="utf-8")
    file.setFormatter(JsonLines())
    file.addFilter(Repetition())
    terminal = logging.StreamHandler(sys.stderr)
    terminal.setLevel(logging.WARNING)
    terminal.addFilter(Repetition(each=False))
    terminal.setFormatter(logging.Formatter("hutong: %(levelname)s %(name)s: %(message)s"))
    level = os.environ.get("HUTONG_LOG_LEVEL", "INFO")
    logging.basicConfig(level=level, handlers=[file, terminal], force=True)
    return path
