"""The taking of another store's changes into one's own: each once, exactly as it is there, in order.

The region is the authority on its own records. Nothing that is stored is changed or removed, and absence is no
statement: what a region, restored from a backup, no longer has stays in force here, and is given back to it (see
reconciliation). Until then nothing that it says since makes a record here milder.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from hutong.records.v1.change_feed_service_pb2 import Change
from hutong.records.v1.laboratory_pb2 import Laboratory
from hutong.records.v1.record_pb2 import RevisionAction, TestRecord

from services.common.instants import Instant, from_timestamp
from services.records.domain.conflicts import NewConflict
from services.records.domain.content import digest
from services.records.domain.gravity import revision_gravity
from services.records.domain.holders import Holdings, Moved
from services.records.domain.revisions import History, NewRevision, PersonRecord, RecordId, copy_of
from services.records.domain.standing import NewLaboratory, kept_as

_NEVER = Instant(0)

RESTATED_CAUSE = "地区记录库已恢复，以地区为准 / the region's store was restored; what it holds stands"
"""The cause of a revision that repeats what a region holds, after others that it no longer has."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """The place of a follower in a feed, and the instant up to which it has everything of that feed. `mark` names the
    commit it stands at; `rereading`: it began again, and what the region no longer has is still to be found."""

    feed_id: str = ""
    sequence: int = 0
    as_of: Instant = _NEVER
    mark: bytes = b""
    rereading: bool = False


@dataclass(slots=True)
class Copies:
    """The part of a batch of changes that is to be stored. `refused` counts those that contradict what is stored, by
    reason; those that are about a record are among the conflicts. `restated` counts revisions that got another number,
    `moved` are the ids that changed hands."""

    revisions: Sequence[NewRevision] = ()
    moved: Sequence[Moved] = ()
    laboratories: list[NewLaboratory] = field(default_factory=list)
    refused: dict[str, int] = field(default_factory=dict)
    conflicts: list[NewConflict] = field(default_factory=list)
    restated: int = 0

    def refuse(self, reason: str) -> None:
        """Counts a change that is not taken."""
        self.refused[reason] = self.refused.get(reason, 0) + 1

    def refuse_record(self, reason: str, record: TestRecord, revision: int, feed: str) -> None:
        """Counts a revision that is not taken, and keeps it for someone to settle."""
        self.refuse(reason)
        self.conflicts.append(
            NewConflict(
                RecordId(record.region, record.source_id),
                revision,
                reason,
                record.person_key,
                digest(record.content),
                record.content.SerializeToString(),
                f"feed of {feed}",
            )
        )


def continues(stored: Cursor, since: Cursor, feed_id: str) -> bool:
    """Tells if a batch of feed `feed_id` read from `since` leaves no gap after what is stored.

    Another replica may have stored more meanwhile, or begun again from the start.
    """
    if stored.rereading != since.rereading:
        return False
    if stored.feed_id == feed_id:
        return since.sequence <= stored.sequence
    return not stored.feed_id and since.sequence == 0


def advanced(stored: Cursor, feed_id: str, sequence: int, as_of: Instant, mark: bytes = b"") -> Cursor:
    """Returns the cursor after a batch; it never goes back within one feed."""
    if stored.feed_id != feed_id:
        return Cursor(feed_id, sequence, as_of, mark, stored.rereading)
    if stored.sequence > sequence:
        sequence, mark = stored.sequence, stored.mark
    return Cursor(feed_id, sequence, Instant(max(as_of, stored.as_of)), mark, stored.rereading)


def take(
    region: str,
    changes: Iterable[Change],
    histories: Mapping[RecordId, History],
    laboratories: Mapping[str, Laboratory],
    others: Mapping[PersonRecord, History] = MappingProxyType({}),
    *,
    rereading: bool = False,
) -> Copies:
    """Returns the changes of `region`'s feed that are news here. `others` are the histories, where there are any, of
    the people it speaks of under ids that others hold.

    A revision that is stored is skipped: the same change may come again after either side died. One whose number has
    gone to a revision that the region no longer has is restated: it follows what is stored, under the next number. An
    id under which the region tells of another person than is stored is that person's: see Holdings. Refused, and left
    to people: OTHER_REGION, what the region has no say in.

    `rereading`: the feed is read again after the region lost something. What would be milder than what stands here is
    left for the comparison that follows, which alone knows what was lost.
    """
    copies = Copies()
    holdings = Holdings(histories, others)
    standing = dict(laboratories)
    for change in changes:
        if change.HasField("record"):
            if change.record.region == region:
                _take_revision(change.record, holdings, copies, rereading)
            else:
                copies.refuse_record("OTHER_REGION", change.record, 0, region)
        elif change.HasField("laboratory"):
            _take_laboratory(region, change.laboratory, standing, copies, rereading)
    copies.revisions, copies.moved = holdings.revisions, holdings.moved
    return copies


def _take_revision(record: TestRecord, holdings: Holdings, copies: Copies, rereading: bool) -> None:
    new = copy_of(record)
    stored = holdings.of(new.id, new.person_key)
    if stored:
        if is_stored(stored, new) or (rereading and revision_gravity(new.as_stored()) < revision_gravity(stored[-1])):
            return
        if new.revision <= stored[-1].revision:
            new = restated(record, stored[-1].revision + 1)
            copies.restated += 1
    holdings.append(new)


def is_stored(stored: History, new: NewRevision) -> bool:
    """Returns whether a revision of the region is among these: as it is or restated or, as the current one, with the
    same number and content, which a region that was built anew may have recorded at another instant."""
    if not stored:
        return False
    current = stored[-1]
    if (current.revision, current.digest, current.retracted) == (new.revision, new.digest, new.retracted):
        return True
    return any(
        old.digest == new.digest
        and old.retracted == new.retracted
        and from_timestamp(old.message().recorded_at) == new.recorded_at
        for old in reversed(stored)
    )


def restated(record: TestRecord, revision: int, cause: str = RESTATED_CAUSE) -> NewRevision:
    """Returns a region's revision under another number, where its own has gone to one that the region no longer has. It
    keeps the instant at which the region recorded it, by which it is known again."""
    made = TestRecord()
    made.CopyFrom(record)
    made.revision = revision
    if made.action == RevisionAction.REVISION_ACTION_SUBMITTED:
        made.action = RevisionAction.REVISION_ACTION_AMENDED
    made.cause = made.cause or cause
    return copy_of(made)


def _take_laboratory(
    region: str, laboratory: Laboratory, standing: dict[str, Laboratory], copies: Copies, rereading: bool
) -> None:
    if laboratory.region != region:
        copies.refuse("OTHER_REGION")
        return
    name = kept_as(laboratory.laboratory, region, standing)
    current = standing.get(name)
    if current is not None:
        if _recorded(laboratory) < _recorded(current) or same_standing(laboratory, current):
            return
        if rereading and in_force(current) - in_force(laboratory):
            return
        if laboratory.revision <= current.revision:
            laboratory = renumbered(laboratory, current.revision + 1)
            copies.restated += 1
    standing[name] = laboratory
    copies.laboratories.append(NewLaboratory(laboratory, copied=True, name=name))


def in_force(laboratory: Laboratory) -> set[str]:
    """Returns the ids of a laboratory's suspensions that were not lifted."""
    return {one.suspension_id for one in laboratory.suspensions if not one.HasField("lifted_at")}


def _recorded(laboratory: Laboratory) -> Instant:
    return from_timestamp(laboratory.recorded_at)


def same_standing(one: Laboratory, other: Laboratory) -> bool:
    """Tells if two revisions say the same, whatever their numbers."""
    return one == other or renumbered(one, other.revision) == other


def renumbered(laboratory: Laboratory, revision: int) -> Laboratory:
    """Returns the same revision of a laboratory under another number."""
    made = Laboratory()
    made.CopyFrom(laboratory)
    made.revision = revision
    return made
