"""Whose record an id is. One (region, source_id) is one person's at a time; whose, its region says.

A submission never gives an id to a second person. It changes hands where someone settles a conflict so, and where a
region was restored, or purged the record, and has used the id again. Whoever had it keeps the history, which ends with
a retraction: what is no longer the region's word counts for nobody.
"""

from collections.abc import Mapping
from typing import NamedTuple

from hutong.records.v1.record_pb2 import RevisionAction, TestRecord

from services.common.instants import Instant, to_timestamp
from services.records.domain.revisions import (
    History,
    NewRevision,
    PersonRecord,
    RecordId,
    StoredRevision,
    copy_of,
    next_after,
)

REISSUED_CAUSE = "地区已将该样本编号用于另一人的检测 / the region has given this source_id to another person's test"
"""The cause of the retraction of a record whose id its region has given to another person."""


class Moved(NamedTuple):
    """An id that changed hands: who had it, and whose it is now."""

    id: RecordId
    former: bytes
    holder: bytes


class Holdings:
    """The histories under some ids, person by person, and what a plan appends to them.

    `histories` are those of the present holders, `others` those of whoever else is spoken of.
    """

    def __init__(self, histories: Mapping[RecordId, History], others: Mapping[PersonRecord, History]) -> None:
        self._holders = {record_id: history[-1].person_key for record_id, history in histories.items() if history}
        self._known = {record: list(history) for record, history in others.items()}
        self._known.update((PersonRecord(key, i), list(histories[i])) for i, key in self._holders.items())
        self.revisions: list[NewRevision] = []
        self.moved: list[Moved] = []

    def of(self, record_id: RecordId, person_key: bytes) -> list[StoredRevision]:
        """One person's history under an id, with what was appended."""
        return self._known.setdefault(PersonRecord(person_key, record_id), [])

    def append(self, new: NewRevision, cause: str = REISSUED_CAUSE) -> None:
        """Appends a revision to its person's history. The id is that person's from then on, unless it is a retraction.

        What another person has there ends with a retraction, for that cause. One that follows a region's revision bears
        the instant before it: should the two people turn out to be one, what the region says now is the later.
        """
        holder = self._holders.setdefault(new.id, new.person_key)
        if holder != new.person_key and not new.retracted:
            self._withdraw(new.id, self.of(new.id, holder)[-1], new.recorded_at, cause)
            self._holders[new.id] = new.person_key
            self.moved.append(Moved(new.id, holder, new.person_key))
        self._append(new)

    def _withdraw(self, record_id: RecordId, current: StoredRevision, before: Instant | None, cause: str) -> None:
        if current.retracted:
            return
        content = current.message().content
        retracted = RevisionAction.REVISION_ACTION_RETRACTED
        made = next_after([current], record_id, content, retracted, cause, current.digest)
        if before is not None:
            record = TestRecord.FromString(made.body)
            record.recorded_at.CopyFrom(to_timestamp(Instant(before - 1)))
            made = copy_of(record)
        self._append(made)

    def _append(self, new: NewRevision) -> None:
        self.of(new.id, new.person_key).append(new.as_stored())
        self.revisions.append(new)
