"""The return of revisions that a store lost, and that a follower of its feed still has.

Absence is no statement: only a retraction retracts. So a follower keeps in force what a region that was restored no
longer has, and gives it back, as the revisions they were. Where the region has said otherwise since, the graver of the
two statements stands, and a conflict is kept for a person to settle. Then the follower says what the region says.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hutong.records.v1.laboratory_pb2 import Laboratory
from hutong.records.v1.record_pb2 import RevisionAction, TestRecord

from services.common.instants import Instant, from_timestamp
from services.records.domain.conflicts import RESTORED_CONTENT, RESTORED_PERSON, NewConflict
from services.records.domain.content import digest
from services.records.domain.gravity import revision_gravity
from services.records.domain.holders import Holdings
from services.records.domain.replication import is_stored, renumbered, restated, same_standing
from services.records.domain.revisions import NewRevision, RecordId, StoredRevision, copy_of, next_after
from services.records.domain.standing import NewLaboratory, kept_as

GIVEN_BACK_CAUSE = (
    "记录库恢复时丢失，由跟随者交还，较重者暂为准 / "
    "lost when the store was restored, given back by a follower; the graver statement stands for now"
)
"""The cause of a revision that puts a statement that was lost after another that was made since."""

_RETRACTED = RevisionAction.REVISION_ACTION_RETRACTED


def differs(ours: TestRecord, theirs: TestRecord | None, purged_before: Instant) -> bool:
    """Returns whether a follower has to compare its revisions of a record with the region's.

    Not where the region has none because it deletes what was last revised before `purged_before`: what is over was not
    lost.
    """
    if theirs is None:
        return from_timestamp(ours.recorded_at) >= purged_before
    return (theirs.revision, theirs.content, theirs.action) != (ours.revision, ours.content, ours.action)


@dataclass(slots=True)
class GivenBack:
    """The decision on what was given back to a store: `holdings` has the revisions, `conflicts` what somebody has to
    settle, `laboratories` those that change."""

    holdings: Holdings
    conflicts: list[NewConflict] = field(default_factory=list)
    laboratories: list[NewLaboratory] = field(default_factory=list)

    def record(self, given: Sequence[TestRecord], giver: str) -> None:
        """Takes back one person's revisions of one record, oldest first; `giver` is who has them."""
        record_id, person_key = RecordId(given[0].region, given[0].source_id), given[0].person_key
        history = self.holdings.of(record_id, person_key)
        revisions = [copy_of(record) for record in given]
        lost = [record for record, new in zip(given, revisions, strict=True) if not is_stored(history, new)]
        if not lost:
            return
        said_since = [known for known in history if not any(is_stored([known], new) for new in revisions)]
        if said_since or lost[-1] is not given[-1]:
            self._contradicted(record_id, person_key, copy_of(lost[-1]), said_since or history[-1:], giver)
            return
        for record in lost:
            new = copy_of(record)
            behind = history and new.revision <= history[-1].revision
            self.holdings.give_back(restated(record, history[-1].revision + 1) if behind else new)
        holder = self.holdings.holder(record_id)
        if holder is not None and holder != person_key and not history[-1].retracted:
            holding = self.holdings.of(record_id, holder)[-1]
            self._conflict(record_id, holding.revision, RESTORED_PERSON, history[-1], giver)

    def _contradicted(
        self,
        record_id: RecordId,
        person_key: bytes,
        lost: NewRevision,
        said_since: Sequence[StoredRevision],
        giver: str,
    ) -> None:
        """Lets the graver of two statements stand, and keeps the other for a person to choose."""
        if any((since.digest, since.retracted) == (lost.digest, lost.retracted) for since in said_since):
            # It has been said again, by the region itself or when it was given back before.
            return
        history = self.holdings.of(record_id, person_key)
        current = history[-1]
        self._conflict(record_id, current.revision, RESTORED_CONTENT, lost.as_stored(), giver)
        if revision_gravity(lost.as_stored()) > revision_gravity(current):
            action = _RETRACTED if lost.retracted else RevisionAction.REVISION_ACTION_CONTESTED
            content = lost.as_stored().message().content
            self.holdings.give_back(next_after(history, record_id, content, action, GIVEN_BACK_CAUSE, lost.digest))

    def _conflict(self, record_id: RecordId, revision: int, reason: str, offered: StoredRevision, giver: str) -> None:
        content = offered.message().content
        self.conflicts.append(
            NewConflict(
                record_id,
                revision,
                reason,
                offered.person_key,
                offered.digest,
                content.SerializeToString(),
                f"given back by {giver}",
            )
        )

    def laboratory(self, given: Sequence[Laboratory], known: Mapping[str, Laboratory]) -> str:
        """Takes back the revisions of one laboratory, oldest first; returns the name it is kept by."""
        lost = given[-1]
        name = kept_as(lost.laboratory, lost.region, known)
        current = known.get(name)
        if current is None:
            self.laboratories.append(NewLaboratory(lost, copied=True, name=name))
        elif any(same_standing(revision, current) for revision in given):
            # Nothing was said since.
            if not same_standing(lost, current):
                behind = lost.revision <= current.revision
                taken = renumbered(lost, current.revision + 1) if behind else lost
                self.laboratories.append(NewLaboratory(taken, copied=True, name=name))
        elif not same_standing(merged := merged_standing(lost, current), current):
            self.laboratories.append(NewLaboratory(merged, name=name))
        return name


def merged_standing(lost: Laboratory, current: Laboratory) -> Laboratory:
    """Returns the next revision of a laboratory of which a revision was lost, and that was changed since: as it stands
    now, with each suspension in force that is so by either of the two."""
    merged = Laboratory()
    merged.CopyFrom(current)
    merged.revision = max(lost.revision, current.revision) + 1
    merged.ClearField("recorded_at")
    present = {suspension.suspension_id: suspension for suspension in merged.suspensions}
    for suspension in lost.suspensions:
        same = present.get(suspension.suspension_id)
        if same is None:
            merged.suspensions.add().CopyFrom(suspension)
        elif same.HasField("lifted_at") and not suspension.HasField("lifted_at"):
            same.ClearField("lifted_at")
            same.ClearField("lifted_cause")
    if list(merged.suspensions) == list(current.suspensions):
        return current
    return merged


def adopt(seen: int, theirs: Sequence[TestRecord], holdings: Holdings) -> None:
    """Appends to a follower's history of a record what makes it say what the region says, `theirs` being every revision
    that the region has of it for that person.

    `seen` is the revision that was current here before the region was asked: where one came since, the region has gone
    on, and its feed tells.
    """
    if not theirs:
        return
    record_id, person_key = RecordId(theirs[0].region, theirs[0].source_id), theirs[0].person_key
    history = holdings.of(record_id, person_key)
    if not history or history[-1].revision != seen:
        return
    for record in theirs:
        new = copy_of(record)
        if not is_stored(history, new):
            behind = new.revision <= history[-1].revision
            holdings.give_back(restated(record, history[-1].revision + 1) if behind else new)
    current = theirs[-1]
    if (digest(current.content), current.action == _RETRACTED) != (history[-1].digest, history[-1].retracted):
        holdings.give_back(restated(current, history[-1].revision + 1))


def adopted_laboratory(name: str, seen: int, ours: Laboratory | None, theirs: Laboratory) -> NewLaboratory | None:
    """Returns what makes a laboratory here, kept by `name`, stand as it does in its region; None where it does, or
    where it changed here since revision `seen`, so that the region's feed tells."""
    if ours is None or ours.revision != seen or same_standing(theirs, ours):
        return None
    if theirs.revision > ours.revision:
        return NewLaboratory(theirs, copied=True, name=name)
    return NewLaboratory(renumbered(theirs, ours.revision + 1), copied=True, name=name)


def made_here(record: TestRecord) -> bool:
    """Returns whether a revision was made by a follower of an earlier release, and not by the region: it retracted what
    a restored region lacked."""
    return record.action == _RETRACTED and record.cause in _MADE_HERE


_MADE_HERE = frozenset(
    {
        "地区记录库恢复后已无此记录 / the region's store was restored, and no longer has this record",
        "地区已将该样本编号用于另一人的检测 / the region has given this source_id to another person's test",
    }
)
