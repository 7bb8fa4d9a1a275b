"""Conflicts: what was offered and could not be taken, kept until someone says which of the two is right."""

from dataclasses import dataclass
from hashlib import blake2b

from hutong.records.v1.conflict_service_pb2 import Settlement
from hutong.records.v1.record_pb2 import RecordContent, RevisionAction

from services.common.errors import FailedPrecondition, NotFound
from services.common.instants import Instant
from services.records.domain.content import digest
from services.records.domain.decisions import Decision, Submission, decide_amendment, decide_taking_over, last_equal
from services.records.domain.holders import Holdings
from services.records.domain.revisions import History, NewRevision, RecordId, next_after

OPEN = Settlement.SETTLEMENT_UNSPECIFIED
KEPT = Settlement.SETTLEMENT_STORED_KEPT
TAKEN = Settlement.SETTLEMENT_OFFERED_TAKEN

RESTORED_CONTENT = "RESTORED_CONTENT"
"""The store lost a revision, has said otherwise since, and was given it back: the graver of the two stands for now."""
RESTORED_PERSON = "RESTORED_PERSON"
"""The store lost a record, and has given its id to another person since: both people's tests stand meanwhile."""

_AMENDED = RevisionAction.REVISION_ACTION_AMENDED
_CONTESTED = RevisionAction.REVISION_ACTION_CONTESTED


def conflict_id_of(
    region: str, source_id: str, revision: int, reason: str, person_key: bytes, content_digest: bytes
) -> str:
    """Returns the id of one offer against one revision."""
    parts = (region, source_id, str(revision), reason, person_key.hex(), content_digest.hex())
    return blake2b("\x1f".join(parts).encode(), digest_size=12).hexdigest()


@dataclass(frozen=True, slots=True)
class NewConflict:
    """One offer that conflicts with a revision. `content` is the serialised RecordContent that was offered, `digest`
    its identity; `revision` the current one, 0 where there is none."""

    id: RecordId
    revision: int
    reason: str
    person_key: bytes
    digest: bytes
    content: bytes
    offered_by: str

    @property
    def conflict_id(self) -> str:
        """The same for the same offer against the same revision."""
        return conflict_id_of(*self.id, self.revision, self.reason, self.person_key, self.digest)


@dataclass(frozen=True, slots=True)
class StoredConflict:
    """One conflict as it is stored. Instants are of this store's commits; `settled_at` None while it is open."""

    number: int
    conflict_id: str
    region: str
    source_id: str
    revision: int
    reason: str
    person_key: bytes
    content: bytes
    offered_by: str
    first_at: Instant
    last_at: Instant
    times: int
    settlement: int
    cause: str
    settled_by: str
    settled_at: Instant | None

    @property
    def id(self) -> RecordId:
        """The record it is about."""
        return RecordId(self.region, self.source_id)


@dataclass(frozen=True, slots=True)
class Settled:
    """The settlement of a conflict: by whom and why."""

    conflict_id: str
    settlement: int
    cause: str
    by: str


def of_submission(submission: Submission, decision: Decision, offered_by: str) -> NewConflict:
    """A submission that ended in CONFLICT, as it is kept."""
    return NewConflict(
        submission.id,
        decision.against,
        decision.violations[0].reason,
        submission.person_key,
        submission.digest,
        submission.content.SerializeToString(),
        offered_by,
    )


def conflict_not_found() -> NotFound:
    """Returns the error for a conflict that is not here."""
    return NotFound("CONFLICT_NOT_FOUND", "没有该冲突", "There is no such conflict")


def settle(
    conflict: StoredConflict | None, settled: Settled, history: History, holdings: Holdings, keeps: bool
) -> Settled | None:
    """Returns how the conflict is settled, None when it was settled the same way before; what follows is appended to
    `holdings`. Another person's test that is taken has the id from then on: what was stored under it is retracted. One
    that was given back to a restored store (RESTORED_PERSON) and is not taken is retracted itself.

    What stands for the time being as the graver of two statements is confirmed, or what it contradicts is brought back.

    `keeps`: whether the record's region is written in this store. Raises NotFound (CONFLICT_NOT_FOUND) and
    FailedPrecondition (CONFLICT_SETTLED, CONFLICT_NOT_AMENDABLE, REVISION_MISMATCH).
    """
    if conflict is None:
        raise conflict_not_found()
    if conflict.settlement != OPEN:
        if conflict.settlement == settled.settlement:
            return None
        raise FailedPrecondition("CONFLICT_SETTLED", "该冲突已另行处理", "The conflict was settled the other way")
    current = history[-1] if history else None
    same = current is not None and current.person_key == conflict.person_key
    if same and current is not None:
        content = RecordContent.FromString(conflict.content)
        standing = last_equal(history, digest(content))
        if standing is not None and standing.contested and current.contested:
            if standing.revision != current.revision:
                raise FailedPrecondition(
                    "REVISION_MISMATCH",
                    "该记录另有更晚的冲突，请先处理",
                    "Another conflict about this record came later; settle that one first",
                    {"current_revision": str(current.revision)},
                )
            holdings.append(_settle_contested(history, conflict, settled))
            return settled
    if settled.settlement == KEPT:
        if conflict.reason == RESTORED_PERSON and keeps:
            holdings.withdraw(conflict.id, conflict.person_key, settled.cause)
        return settled
    if not keeps or current is None or (same and current.retracted):
        raise FailedPrecondition(
            "CONFLICT_NOT_AMENDABLE",
            "该记录已撤回或不在本库写入，只能保留原内容",
            "The record is retracted or written elsewhere: only what is stored can stay",
        )
    content = RecordContent.FromString(conflict.content)
    if same:
        made = decide_amendment(history, conflict.id, conflict.revision, content, settled.cause)
        if isinstance(made, NewRevision):
            holdings.append(made)
        return settled
    earlier = holdings.of(conflict.id, conflict.person_key)
    holdings.take_over(
        decide_taking_over(
            history,
            conflict.id,
            conflict.revision,
            conflict.person_key,
            content,
            settled.cause,
            after=earlier[-1].revision if earlier else 0,
        ),
        settled.cause,
    )
    return settled


def _settle_contested(history: History, conflict: StoredConflict, settled: Settled) -> NewRevision:
    """The revision that confirms what stands for the time being, or brings back what it contradicted, which may itself
    be contested still."""
    if settled.settlement == TAKEN:
        back, action = history[-1], _AMENDED
    else:
        back = next(revision for revision in history if revision.revision == conflict.revision)
        action = _CONTESTED if back.contested else _AMENDED
    return next_after(history, conflict.id, back.message().content, action, settled.cause, back.digest)
