"""One line of the audit trail: who asked what, about whom, for which purpose, and what came of it."""

import msgspec

from services.common.instants import Instant


class Entry(msgspec.Struct, frozen=True, array_like=False, omit_defaults=True):
    """A call about a person, or one that was refused. It names persons by key, and never holds a document's number.

    `at` is the instant of the answer (microseconds since the epoch, UTC), `caller` the proven name, or the name given
    where callers are not proven; `users` are those on whose behalf the caller calls, where it does not call for itself;
    `persons` are person keys in hexadecimal; `outcome` is OK or the reason of an error; `answer` is the digest
    (BLAKE2b, 16 bytes, hexadecimal) of what was answered, of which a part that is kept
    ready counts by its own digest; `trace` the id of the trace.
    """

    at: Instant
    caller: str
    method: str
    purpose: str
    outcome: str
    persons: tuple[str, ...] = ()
    answer: str = ""
    trace: str = ""
    users: tuple[str, ...] = ()


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Entry)


def to_line(entry: Entry) -> bytes:
    """Returns the line, without its end."""
    return _encoder.encode(entry)


def from_line(line: bytes) -> Entry:
    """Returns the entry of a line. Raises msgspec.ValidationError or msgspec.DecodeError."""
    return _decoder.decode(line)
