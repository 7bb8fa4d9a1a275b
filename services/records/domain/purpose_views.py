"""The fields of a record that not every purpose is told."""

from collections.abc import Iterable

from hutong.common.v1.subject_pb2 import Purpose
from hutong.records.v1.record_pb2 import TestRecord

_TOLD_WRITERS = frozenset((Purpose.PURPOSE_RECORD_KEEPING, Purpose.PURPOSE_SUPERVISION, Purpose.PURPOSE_REPLICATION))
"""Who answers for a record, who supervises, and who keeps a copy is told who wrote it; who asks about a person's health
is not."""


def narrow(records: Iterable[TestRecord], purpose: Purpose.ValueType) -> None:
    """Takes out of records what a purpose is not told."""
    if purpose in _TOLD_WRITERS:
        return
    for record in records:
        record.ClearField("written_by")
