"""The messages that a device shows: that there is something new, and nothing of what it is.

A message says no result, no number and no name, though it travels encrypted (RFC 8291): it is shown on a locked screen.
All have one length, so that a push service cannot tell them apart by it.
"""

import json
from datetime import UTC, datetime, timedelta, timezone
from enum import IntEnum

from hutong.gateway.v1.push_service_pb2 import PushLanguage

from services.common.instants import SECOND, Instant

PAYLOAD_BYTES = 256
_CHINA = timezone(timedelta(hours=8))


class NoticeKind(IntEnum):
    """The things that a person is told."""

    RESULT = 1
    """A result has arrived."""
    ENDING = 2
    """The code is about to end."""


def payload(kind: NoticeKind, language: int, ends_at: Instant | None) -> bytes:
    """Returns the text to be encrypted; `ends_at` is when the code ends, of ENDING."""
    english = language == PushLanguage.PUSH_LANGUAGE_ENGLISH
    if kind is NoticeKind.RESULT or ends_at is None:
        text = "A new test result has arrived." if english else "有新的检测结果。"
    else:
        at = datetime.fromtimestamp(ends_at / SECOND, UTC).astimezone(_CHINA).strftime("%m-%d %H:%M")
        text = f"Your health code ends at {at} (UTC+8)." if english else f"健康码将于 {at} 到期。"
    shown = {
        "kind": kind.name,
        "lang": "en" if english else "zh-CN",
        "title": "Health code" if english else "互通 · 健康码",
        "body": text,
    }
    return json.dumps(shown, ensure_ascii=False).encode().ljust(PAYLOAD_BYTES)
