"""How a follower takes another store's changes into its own: each once, exactly as it is there, in order."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from hutong.records.v1.change_feed_service_pb2 import Change
from hutong.records.v1.laboratory_pb2 import Laboratory

from services.common.instants import Instant
from services.records.domain.revisions import History, NewRevision, RecordId, StoredRevision, copy_of
from services.records.domain.standing import NewLaboratory

_NEVER = Instant(0)


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a follower stands in a feed, and the instant up to which it has everything of that feed."""

    feed_id: str = ""
    sequence: int = 0
    as_of: Instant = _NEVER


@dataclass(slots=True)
class Copies:
    """What of a batch of changes is to be stored. `refused` counts those that contradict what is stored, by reason."""

    revisions: list[NewRevision] = field(default_factory=list)
    laboratories: list[NewLaboratory] = field(default_factory=list)
    refused: dict[str, int] = field(default_factory=dict)

    def refuse(self, reason: str) -> None:
        """Counts a change that is not taken."""
        self.refused[reason] = self.refused.get(reason, 0) + 1


def continues(stored: Cursor, since: Cursor, feed_id: str) -> bool:
    """Whether a batch of feed `feed_id` read from `since` leaves no gap after what is stored.

    Another replica may have stored more meanwhile, or begun again from the start.
    """
    if stored.feed_id == feed_id:
        return since.sequence <= stored.sequence
    return not stored.feed_id and since.sequence == 0


def advanced(stored: Cursor, feed_id: str, sequence: int, as_of: Instant) -> Cursor:
    """The cursor after a batch; it never goes back within one feed."""
    if stored.feed_id != feed_id:
        return Cursor(feed_id, sequence, as_of)
    return Cursor(feed_id, max(sequence, stored.sequence), Instant(max(as_of, stored.as_of)))


def take(
    region: str,
    changes: Iterable[Change],
    histories: Mapping[RecordId, History],
    laboratories: Mapping[str, Laboratory],
) -> Copies:
    """The changes of `region`'s feed that are news here.

    A revision that is stored is skipped: the same change may come again after either side died. Refused, and left to
    people: OTHER_REGION, what the region has no say in; DIVERGED, a revision other than the one stored under its
    number; PERSON_CONFLICT; LABORATORY_TAKEN, a laboratory that another region registered.
    """
    copies = Copies()
    known: dict[RecordId, list[NewRevision]] = {}
    standing = dict(laboratories)
    for change in changes:
        if change.HasField("record"):
            if change.record.region != region:
                copies.refuse("OTHER_REGION")
                continue
            new = copy_of(change.record)
            _take_revision(new, histories.get(new.id, ()), known.setdefault(new.id, []), copies)
        elif change.HasField("laboratory"):
            laboratory = change.laboratory
            current = standing.get(laboratory.laboratory)
            if laboratory.region != region:
                copies.refuse("OTHER_REGION")
            elif current is not None and current.region != region:
                copies.refuse("LABORATORY_TAKEN")
            elif current is None or current.revision < laboratory.revision:
                standing[laboratory.laboratory] = laboratory
                copies.laboratories.append(NewLaboratory(laboratory, copied=True))
            elif current.revision == laboratory.revision and current != laboratory:
                copies.refuse("DIVERGED")
    return copies


def _take_revision(new: NewRevision, stored: History, taken: list[NewRevision], copies: Copies) -> None:
    before: list[NewRevision | StoredRevision] = [*stored, *taken]
    for old in before:
        if old.person_key != new.person_key:
            copies.refuse("PERSON_CONFLICT")
            return
        if old.revision == new.revision:
            if old.digest != new.digest or old.retracted != new.retracted:
                copies.refuse("DIVERGED")
            return
    taken.append(new)
    copies.revisions.append(new)
