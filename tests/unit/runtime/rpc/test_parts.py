"""The parts of a message are counted before it is decoded."""

import pytest
from google.protobuf.descriptor import Descriptor
from hutong.common.v1.subject_pb2 import Subject
from hutong.records.v1 import intake_service_pb2 as intake_pb
from hutong.records.v1 import record_read_service_pb2 as read_pb
from hutong.verdict.v1 import verdict_service_pb2 as verdict_pb
from hypothesis import given
from hypothesis import strategies as st

from services.common.instants import Instant, to_timestamp
from services.runtime.rpc.parts import MOST_PARTS, has_too_many_parts

READ: Descriptor = read_pb.BatchListRecordsRequest.DESCRIPTOR
VERDICT: Descriptor = verdict_pb.BatchComputeVerdictsRequest.DESCRIPTOR


def delimited(number: int, content: bytes) -> bytes:
    """A field with bytes in it."""
    size, length = len(content), b""
    while size > 0x7F:
        length += bytes([size & 0x7F | 0x80])
        size >>= 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + content


@pytest.mark.parametrize(
    "data",
    [
        b"\x0a\x00" * 4_000_000,
        delimited(1, b"\x0a\x00" * 500_000),
        delimited(1, delimited(1, b"\x0a\x00" * 500_000)),
        b"\x08\x00" * 500_000,
        b"\x73\x74" * 500_000,
        b"\x0d\0\0\0\0" * 100_000,
        b"\x09\0\0\0\0\0\0\0\0" * 100_000,
    ],
    ids=["items", "within an item", "deeper", "numbers", "groups", "fixed32", "fixed64"],
)
def test_a_pattern_of_few_bytes_is_too_many_parts(data: bytes):
    """Wherever it stands."""
    assert has_too_many_parts(data, VERDICT)


def test_the_largest_batches_have_few():
    """A thousand questions with everything that they can have."""
    moment = to_timestamp(Instant(1_700_000_000_000_000))
    query = verdict_pb.VerdictQuery(subject=Subject(person_key=b"0" * 16), region="110000", at=moment, known_at=moment)
    data = verdict_pb.BatchComputeVerdictsRequest(queries=[query] * 1000).SerializeToString()
    assert not has_too_many_parts(data, VERDICT)


@pytest.mark.parametrize("cut", [1, 2, 3, 17])
def test_what_is_cut_short_is_left_to_the_decoder(cut: int):
    """It has few parts, however it ends."""
    data = delimited(15, b"x" * 100_000) + delimited(1, delimited(15, b"y" * 100_000))
    assert not has_too_many_parts(data[:-cut], READ)
    assert not has_too_many_parts(data + b"\xff" * 20, READ)


@given(st.binary(max_size=200), st.integers(100, 400))
def test_any_bytes_end(data: bytes, times: int):
    """Whatever they say of their lengths."""
    assert has_too_many_parts(data * times, intake_pb.StreamRecordsRequest.DESCRIPTOR) in (True, False)


def test_the_bound_itself_is_allowed():
    """One more is not."""
    assert not has_too_many_parts(b"\x0a\x00" * MOST_PARTS, VERDICT)
    assert has_too_many_parts(b"\x0a\x00" * (MOST_PARTS + 1), VERDICT)
