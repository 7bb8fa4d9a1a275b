"""The gravity of statements about one sample: the graver is the one on which nobody is let through by mistake."""

from hutong.records.v1.record_pb2 import RecordContent, RecordKind, TestResult, Tube

from services.records.domain.revisions import StoredRevision

_NEGATIVE_OR_NONE, _INCONCLUSIVE, _POSITIVE_POOL, _POSITIVE = range(4)

_LEAST_OF_ALL, _SAMPLED, _UNCLEAR, _WITHDRAWN, _POOL, _OPEN = range(6)
_STANDING = {_INCONCLUSIVE: _UNCLEAR, _POSITIVE_POOL: _POOL, _POSITIVE: _OPEN}


def gravity(content: RecordContent) -> int:
    """Returns the place of a content in the order of gravity, the gravest the greatest: a positive single tube, a
    positive pool, an inconclusive result; a negative and a sampling record are the least."""
    if content.result == TestResult.TEST_RESULT_POSITIVE:
        return _POSITIVE if content.tube == Tube.TUBE_SINGLE else _POSITIVE_POOL
    return _INCONCLUSIVE if content.result == TestResult.TEST_RESULT_INCONCLUSIVE else _NEGATIVE_OR_NONE


def revision_gravity(revision: StoredRevision) -> int:
    """Returns the place of a revision in the same order, finer: a record that was withdrawn helps nobody, and stands
    between a positive and an inconclusive one; a sample that awaits its result helps less than a negative result."""
    if revision.retracted:
        return _WITHDRAWN
    content = revision.message().content
    least = _SAMPLED if content.kind == RecordKind.RECORD_KIND_SAMPLING else _LEAST_OF_ALL
    return _STANDING.get(gravity(content), least)
