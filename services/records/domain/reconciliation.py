"""What a region that was restored no longer has, and what follows from it here. The region's word holds; what it lost
stays in the history, followed by a revision that says what became of it."""

from hutong.records.v1.laboratory_pb2 import Laboratory
from hutong.records.v1.record_pb2 import RevisionAction, TestRecord

from services.common.instants import Instant, from_timestamp
from services.records.domain.replication import is_stored, renumbered, restated, same_standing
from services.records.domain.revisions import History, NewRevision, RecordId, copy_of, next_after
from services.records.domain.standing import NewLaboratory

LOST_CAUSE = "地区记录库恢复后已无此记录 / the region's store was restored, and no longer has this record"
"""The cause of the retraction of a record that its region no longer has."""


def differs(ours: TestRecord, theirs: TestRecord | None, purged_before: Instant) -> bool:
    """Whether what is stored here of a region's record says something else than the region. Not where the region has
    nothing because it deletes what was last revised before `purged_before`: what is over is not wrong."""
    if theirs is not None:
        return (theirs.content, theirs.action) != (ours.content, ours.action)
    return ours.action != RevisionAction.REVISION_ACTION_RETRACTED and from_timestamp(ours.recorded_at) >= purged_before


def corrected(record_id: RecordId, seen: int, history: History, theirs: TestRecord | None) -> NewRevision | None:
    """The revision that makes a record here say what its region says; None where it does, or where the region has
    gone on and its feed will tell.

    `seen` is the revision that was current here before the region was asked: one that came since is the region's own
    news. `history` and `theirs`, what the region holds or None, are of one person.
    """
    if not history or history[-1].revision != seen:
        return None
    current = history[-1]
    if theirs is None:
        if current.retracted:
            return None
        content = current.message().content
        return next_after(
            history, record_id, content, RevisionAction.REVISION_ACTION_RETRACTED, LOST_CAUSE, current.digest
        )
    new = copy_of(theirs)
    if (new.digest, new.retracted) == (current.digest, current.retracted):
        return None
    return restated(theirs, current.revision + 1) if is_stored(history, new) else None


def corrected_laboratory(
    name: str, seen: int, ours: Laboratory | None, theirs: Laboratory | None
) -> NewLaboratory | None:
    """The same of a laboratory, kept by `name`. One that its region no longer knows limits nothing any more, as if
    never registered."""
    if ours is None or ours.revision != seen:
        return None
    if theirs is None:
        if not ours.accredited and not ours.suspensions:
            return None
        made = Laboratory(
            region=ours.region,
            laboratory=ours.laboratory,
            display_name=ours.display_name,
            revision=ours.revision + 1,
        )
        return NewLaboratory(made, name=name)
    if same_standing(theirs, ours) or from_timestamp(theirs.recorded_at) > from_timestamp(ours.recorded_at):
        return None
    return NewLaboratory(renumbered(theirs, ours.revision + 1), copied=True, name=name)
