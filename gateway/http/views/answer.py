"""The base of every struct that is answered."""

from typing import Annotated

import msgspec
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from hutong.common.v1.text_pb2 import LocalizedText

from gateway.http.fields import described
from services.common import errors
from services.common.instants import format_rfc3339, from_timestamp

encode = msgspec.json.Encoder().encode
"""The JSON of a struct."""


class Answer(msgspec.Struct, rename="camel", forbid_unknown_fields=True, frozen=True, gc=False):
    """An object that is answered. Every field is there, null when it has nothing to say; of the fields that may be
    unset, exactly one is there."""


class Text(Answer, frozen=True):
    """给人看的文字。 A text for people."""

    zh: Annotated[str, described("中文。 Chinese.")]
    en: Annotated[str, described("英文。 English.")]


def text(message: LocalizedText) -> Text:
    """Returns the text of a message."""
    return Text(message.zh, message.en)


def text_of(value: errors.Text) -> Text:
    """Returns the text of an error, or of a sample."""
    return Text(value.zh, value.en)


def instant(timestamp: Timestamp) -> str:
    """Writes an instant in RFC 3339 at +08:00."""
    return format_rfc3339(from_timestamp(timestamp))


def maybe_instant(message: Message, field: str) -> str | None:
    """Writes the instant in a message's field; None when it is absent."""
    return instant(getattr(message, field)) if message.HasField(field) else None
