"""Which of two statements about one sample is the graver: the one on which nobody is let through by mistake."""

from hutong.records.v1.record_pb2 import RecordContent, TestResult, Tube

_NEGATIVE_OR_NONE, _INCONCLUSIVE, _POSITIVE_POOL, _POSITIVE = range(4)


def gravity(content: RecordContent) -> int:
    """Returns the place of a content in the order of gravity, the gravest the greatest: a positive single tube, a
    positive pool, an inconclusive result; a negative and a sampling record are the least."""
    if content.result == TestResult.TEST_RESULT_POSITIVE:
        return _POSITIVE if content.tube == Tube.TUBE_SINGLE else _POSITIVE_POOL
    return _INCONCLUSIVE if content.result == TestResult.TEST_RESULT_INCONCLUSIVE else _NEGATIVE_OR_NONE
