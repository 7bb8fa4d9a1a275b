"""The weight of a revision with a judge, whatever its age: it counts against a person, or clears what does."""

from enum import IntEnum

from hutong.records.v1.record_pb2 import RecordContent, RecordKind, TestResult, Tube

_RESULT = RecordKind.RECORD_KIND_RESULT
_NEGATIVE, _POSITIVE = TestResult.TEST_RESULT_NEGATIVE, TestResult.TEST_RESULT_POSITIVE
_SINGLE = Tube.TUBE_SINGLE


class Weight(IntEnum):
    """The weight of a revision with a judge, whatever its age. The numbers are stored."""

    ORDINARY = 0
    NEGATIVE_SINGLE = 1
    """It clears positives and settles pools."""
    POSITIVE_SINGLE = 2
    POSITIVE_POOL = 3


AGAINST = (Weight.POSITIVE_SINGLE, Weight.POSITIVE_POOL)


def weight_of(content: RecordContent, *, retracted: bool = False) -> Weight:
    """Returns what a revision weighs; a retracted one nothing."""
    if retracted or content.kind != _RESULT:
        return Weight.ORDINARY
    if content.result == _POSITIVE:
        return Weight.POSITIVE_SINGLE if content.tube == _SINGLE else Weight.POSITIVE_POOL
    if content.result == _NEGATIVE and content.tube == _SINGLE:
        return Weight.NEGATIVE_SINGLE
    return Weight.ORDINARY
