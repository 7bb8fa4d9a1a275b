"""The delivery of messages: what is handed to a push service, and how that ends."""

from enum import StrEnum
from typing import NamedTuple

SEND_SECONDS = 10.0
AT_ONCE = 16


class Sent(StrEnum):
    """The ways in which sending a message ends."""

    SENT = "SENT"
    """The push service took it."""
    GONE = "GONE"
    """The subscription is no more (404 or 410): it is forgotten."""
    LATER = "LATER"
    """The push service asks to come again (429, 5xx), or could not be reached."""
    REFUSED = "REFUSED"
    """The push service will not have it, now or later."""


class Answer(NamedTuple):
    """The end of an attempt to send: the status of HTTP (0 where nobody answered), and for how many seconds the push
    service asks to be left alone; 0 where it does not say."""

    sent: Sent
    status: int = 0
    wait_seconds: float = 0.0


class Message(NamedTuple):
    """A message to one device. `topic` names what a later message about the same replaces (RFC 8030, 5.4)."""

    endpoint: str
    p256dh: bytes
    auth: bytes
    payload: bytes
    ttl_seconds: int
    topic: str
