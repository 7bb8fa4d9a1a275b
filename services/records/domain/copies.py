"""A copy follows when the record it was copied from changes. The origin is the authority on what was tested."""

from dataclasses import dataclass

from hutong.records.v1.record_pb2 import Origin, RecordContent, RecordKind, RevisionAction, TestRecord

from services.common.requests.fields import MOST_CAUSE
from services.records.domain.content import digest

_RETRACTED = RevisionAction.REVISION_ACTION_RETRACTED
_SAMPLING, _RESULT = RecordKind.RECORD_KIND_SAMPLING, RecordKind.RECORD_KIND_RESULT


@dataclass(frozen=True, slots=True)
class Follow:
    """The request to the copy's region: amend the copy to `content`, or retract it where that is None."""

    revision: int
    content: RecordContent | None
    cause: str


def follow(copy: TestRecord | None, origin: TestRecord | None) -> Follow | None:
    """Returns what follows for a copy, given the current revisions of both; None when the copy may stay as it is.

    A copy that was withdrawn stays so: whoever withdrew it had a reason of his own. One made from a later revision than
    is known here waits until that has arrived. One that says what the origin says needs nothing, whatever the numbers.
    A copy's result never becomes a sampling record again: the origin's store has not heard of the result yet.
    """
    if copy is None or origin is None or copy.action == _RETRACTED:
        return None
    name = f"{origin.region}/{origin.source_id}"
    if origin.action == _RETRACTED:
        return Follow(
            copy.revision,
            None,
            _cause(f"原记录 {name} 已撤回，随之撤回", f"follows its origin {name}, which was retracted", origin.cause),
        )
    if copy.content.kind == _RESULT and origin.content.kind == _SAMPLING:
        # Once reported, it is no sampling record again, whatever is corrected of the sample.
        return None
    wanted = RecordContent()
    wanted.CopyFrom(origin.content)
    # How it came to this region, and from where, is the copy's own.
    wanted.channel = copy.content.channel
    made_from = copy.content.origin.revision
    wanted.origin.CopyFrom(Origin(region=origin.region, source_id=origin.source_id, revision=made_from))
    if digest(wanted) == digest(copy.content) or made_from >= origin.revision:
        return None
    wanted.origin.revision = origin.revision
    return Follow(
        copy.revision,
        wanted,
        _cause(f"原记录 {name} 已更正，随之更正", f"follows its origin {name}, which was amended", origin.cause),
    )


def _cause(zh: str, en: str, why: str) -> str:
    return f"{zh} / {en}: {why}"[:MOST_CAUSE]
