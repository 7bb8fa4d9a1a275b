"""People of whom nothing is known, as far as everybody was asked."""

from collections.abc import Iterable

from hutong.lookup.v1.evidence_service_pb2 import Evidence, SourceCoverage, SourceStatus


def all_answered(coverage: Iterable[SourceCoverage]) -> bool:
    """Returns whether every source that was asked answered: who could not be asked about is not unknown."""
    return all(source.status == SourceStatus.SOURCE_STATUS_OK for source in coverage)


def is_unknown(evidence: Iterable[Evidence]) -> bool:
    """Returns whether these answers about one person hold nothing, and nobody was missing."""
    return all(not piece.records and all_answered(piece.coverage) for piece in evidence)
