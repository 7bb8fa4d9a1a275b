"""Results of this morning, for a mesh that runs on the real clock."""

from hutong.common.v1.subject_pb2 import Subject
from hutong.records.v1.record_pb2 import (
    Channel,
    RecordContent,
    RecordKind,
    TestResult,
    Tube,
)

from services.common.instants import HOUR, Instant, to_timestamp
from services.runtime.clock import system_clock

HUNAN, BEIJING = "430000", "110000"


LABORATORY = "430000-xiangya"


def subject(name: bytes) -> Subject:
    """Returns somebody, by a key of the first version of a mesh's secret: the only one that a new mesh has."""
    return Subject(person_key=b"\x01" + name.ljust(15, b"\0"))


def content(result: TestResult.ValueType = TestResult.TEST_RESULT_NEGATIVE) -> RecordContent:
    """A result of this morning, in Changsha."""
    now = system_clock()
    morning = Instant(now - now % HOUR - 5 * HOUR)
    return RecordContent(
        kind=RecordKind.RECORD_KIND_RESULT,
        sampled_at=to_timestamp(morning),
        reported_at=to_timestamp(Instant(morning + 2 * HOUR)),
        result=result,
        tube=Tube.TUBE_SINGLE,
        laboratory=LABORATORY,
        site="430100",
        channel=Channel.CHANNEL_LABORATORY,
    )
