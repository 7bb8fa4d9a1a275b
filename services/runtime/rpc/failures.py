"""Says in the log that a request failed, once for each and whatever is sampled: somebody may quote its trace id."""

import logging

from services.common.errors import Code
from services.runtime.telemetry.repetition import EACH
from services.runtime.tls.identity import SCHEME

log = logging.getLogger(EACH)

_OURS = frozenset((Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED, Code.INTERNAL, Code.UNKNOWN, Code.DATA_LOSS))
"""Codes of failures that are not the caller's."""


def log_failure(method: str, caller: str, trace_id: str, code: str, reason: str) -> None:
    """Writes the line of a request that failed: what was asked, why it failed, in which trace. A caller is named where
    it is a service; people are not."""
    if code == Code.INTERNAL.name:
        # An unexpected error has its line, with its stack, where it happened.
        return
    level = logging.WARNING if code in _NAMES_OF_OURS else logging.INFO
    named = {"caller": caller} if caller.startswith(SCHEME) else {}
    log.log(
        level, "request failed", extra={"method": method, "code": code, "reason": reason, "trace_id": trace_id, **named}
    )


_NAMES_OF_OURS = frozenset(code.name for code in _OURS)
