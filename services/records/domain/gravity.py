"""How grave a statement about a sample is: of two that contradict, the graver stands until a person has settled it."""

from hutong.records.v1.record_pb2 import RecordKind, TestResult

from services.records.domain.revisions import StoredRevision

_RETRACTED, _SAMPLED = 3, 1
_RESULTS = {
    TestResult.TEST_RESULT_NEGATIVE: 0,
    TestResult.TEST_RESULT_INCONCLUSIVE: 2,
    TestResult.TEST_RESULT_POSITIVE: 4,
}


def gravity(revision: StoredRevision) -> int:
    """Returns how grave a revision is for whose it is: a positive result most; then a record that was withdrawn, which
    helps nobody; an inconclusive result; a sample that awaits its result; a negative result least."""
    if revision.retracted:
        return _RETRACTED
    content = revision.message().content
    return _SAMPLED if content.kind == RecordKind.RECORD_KIND_SAMPLING else _RESULTS.get(content.result, 0)
