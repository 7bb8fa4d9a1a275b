"""The content of a record as one comparable value: its identity, its place in time, its bytes."""

from hashlib import blake2b

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from hutong.records.v1.record_pb2 import RecordContent, TestRecord

from services.common.instants import Instant, from_timestamp, to_timestamp

DIGEST_BYTES = 16
_EMPTY = blake2b(digest_size=DIGEST_BYTES)


def placed_at(content: RecordContent) -> Instant:
    """Returns the place of a test in time: when it was sampled or, where that is unknown, reported."""
    return from_timestamp(content.sampled_at if content.HasField("sampled_at") else content.reported_at)


def latest_at(content: RecordContent) -> Instant:
    """Returns the later of the instants at which a test was sampled and reported; the epoch where neither is known."""
    sampled = from_timestamp(content.sampled_at) if content.HasField("sampled_at") else Instant(0)
    reported = from_timestamp(content.reported_at) if content.HasField("reported_at") else Instant(0)
    return max(sampled, reported)


def _micros(message: Message, field: str) -> str:
    if not message.HasField(field):
        return ""
    timestamp: Timestamp = getattr(message, field)
    return str(from_timestamp(timestamp))


def digest(content: RecordContent) -> bytes:
    """Returns the identity of a content: equal for equal contents, and only for them.

    Written out field by field, because protobuf promises no canonical bytes, and these outlive its releases. The
    separator is a control character, which no valid text field contains. Times count to the microsecond.
    """
    rest = digest_rest(content)
    if content.HasField("origin"):
        origin = content.origin
        rest = "\x1f".join((rest, origin.region, origin.source_id, str(origin.revision)))
    return digest_of(content.kind, _micros(content, "sampled_at"), _micros(content, "reported_at"), rest)


def digest_rest(content: RecordContent) -> str:
    """Returns what a digest is made of besides kind and times, of a content that is no copy: thousands of rows share
    it."""
    parts = (str(content.result), str(content.tube), content.laboratory, content.site, str(content.channel))
    return "\x1f".join(parts)


def digest_of(kind: int, sampled: str | int, reported: str | int, rest: str) -> bytes:
    """Returns the digest of a content taken apart; times in microseconds, the empty text where there is none."""
    made = _EMPTY.copy()
    made.update(f"{kind}\x1f{sampled}\x1f{reported}\x1f{rest}".encode())
    return made.digest()


def stamp(recorded_at: Instant, written_by: str) -> bytes:
    """Returns what, appended to the bytes of a record, says when and by whom it was committed.

    Serialised messages concatenate. So thousands of records can be serialised before the instant of their commit is
    known, and nothing but one short suffix has to be made once it is.
    """
    return TestRecord(recorded_at=to_timestamp(recorded_at), written_by=written_by).SerializeToString()
