"""The holder of an id. One (region, source_id) is one person's at a time; whose, its region says.

A submission never gives an id to a second person. It changes hands where someone settles a conflict so: then the
former's history ends with a retraction. It changes hands as well where a region was restored, or purged the record, and
has used the id again: then the former's test stays what it was, for nobody retracted it.
"""

from collections.abc import Mapping
from typing import NamedTuple

from hutong.records.v1.record_pb2 import RevisionAction

from services.records.domain.revisions import (
    History,
    NewRevision,
    PersonRecord,
    RecordId,
    StoredRevision,
    next_after,
)


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
        """Returns one person's history under an id, with what was appended."""
        return self._known.setdefault(PersonRecord(person_key, record_id), [])

    def append(self, new: NewRevision) -> None:
        """Appends a revision to its person's history. The id is that person's from then on, unless it is a retraction.

        What another person has there stays as it is: only a retraction retracts.
        """
        holder = self._holders.setdefault(new.id, new.person_key)
        if holder != new.person_key and not new.retracted:
            self._holders[new.id] = new.person_key
            self.moved.append(Moved(new.id, holder, new.person_key))
        self._append(new)

    def take_over(self, new: NewRevision, cause: str) -> None:
        """Appends a revision by which an id becomes another person's; the former's test is retracted for that cause."""
        former = self._holders.get(new.id)
        if former is not None and former != new.person_key:
            self.withdraw(new.id, former, cause)
        self.append(new)

    def withdraw(self, record_id: RecordId, person_key: bytes, cause: str) -> None:
        """Appends the retraction of what one person has under an id, unless it is retracted already."""
        history = self.of(record_id, person_key)
        if not history or history[-1].retracted:
            return
        content = history[-1].message().content
        retracted = RevisionAction.REVISION_ACTION_RETRACTED
        self._append(next_after(history, record_id, content, retracted, cause, history[-1].digest))

    def give_back(self, new: NewRevision) -> None:
        """Appends a revision that was lost to its person's history. An id that is another person's now stays theirs."""
        holder = self._holders.setdefault(new.id, new.person_key)
        if holder != new.person_key:
            self.moved.append(Moved(new.id, new.person_key, holder))
        self._append(new)

    def holder(self, record_id: RecordId) -> bytes | None:
        """Returns whose an id is now; None where it is nobody's."""
        return self._holders.get(record_id)

    def _append(self, new: NewRevision) -> None:
        self.of(new.id, new.person_key).append(new.as_stored())
        self.revisions.append(new)
