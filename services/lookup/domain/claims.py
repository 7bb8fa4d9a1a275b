"""Claiming: a result kept elsewhere becomes part of a region's own record, as a copy that names its original.

Any identity here is (region, source_id). The identity of a copy is its original's, when the copy tells.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

from hutong.records.v1.record_pb2 import Channel, Origin, RecordContent, RecordKind, RevisionAction, TestRecord

from services.common.errors import FailedPrecondition
from services.common.instants import from_timestamp
from services.common.requests.fields import MOST_ID

Identity = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Claim:
    """The copy to be kept: its id in the region's own record and its content."""

    source_id: str
    content: RecordContent


def identity(record: TestRecord) -> Identity:
    """Returns the identity of the test that a record is of: its original's when it is a copy that tells, else its
    own."""
    origin = record.content.origin
    return (origin.region, origin.source_id) if origin.source_id else (record.region, record.source_id)


def home(record: TestRecord) -> str:
    """The region a record comes from."""
    return record.content.origin.region or record.region


def choose(records: Iterable[TestRecord], region: str, named: Identity | None) -> TestRecord | None:
    """The result a holder claims for a region: the one named, else the newest kept elsewhere; None when there is none.

    The original is preferred to its copies. What was retracted is no result, and neither are copies of it. Newest goes
    by sampling time, by report where that is unknown. Raises FailedPrecondition (RESULT_IS_LOCAL) when the one named
    comes from the region itself.
    """
    everything = list(records)
    retracted = {identity(record) for record in everything if _original(record) and _retracted(record)}
    results: dict[Identity, TestRecord] = {}
    for record in everything:
        test = identity(record)
        if record.content.kind != RecordKind.RECORD_KIND_RESULT or _retracted(record) or test in retracted:
            continue
        if named is not None and named not in (test, (record.region, record.source_id)):
            continue
        if home(record) == region:
            if named is not None:
                raise result_is_local()
            continue
        if record.region == region:
            # A copy claimed before; it stands in for the original only where the original cannot be seen.
            if named is not None:
                results.setdefault(test, record)
            continue
        held = results.get(test)
        if held is None or _closeness(record, region) > _closeness(held, region):
            results[test] = record
    return max(results.values(), key=_age, default=None)


def result_is_local() -> FailedPrecondition:
    """Returns the error of a result that comes from the region itself."""
    return FailedPrecondition("RESULT_IS_LOCAL", "该结果本就属于该地区", "The result is the region's own already")


def claim(record: TestRecord) -> Claim:
    """The copy of a result, with its provenance: the same for the original and for any copy of it."""
    content = RecordContent()
    content.CopyFrom(record.content)
    content.channel = Channel.CHANNEL_HEALTH_CODE
    if not record.content.HasField("origin"):
        content.origin.CopyFrom(Origin(region=record.region, source_id=record.source_id, revision=record.revision))
    return Claim(copy_id("claim", *identity(record)), content)


def copy_in(records: Iterable[TestRecord], region: str, source_id: str) -> TestRecord | None:
    """The copy a region holds already, if any."""
    return next((r for r in records if r.region == region and r.source_id == source_id), None)


def up_to_date(copy: TestRecord, wanted: Claim) -> bool:
    """Tells if a copy need not follow its original. One made from a later revision than is now seen stays as it is: the
    source that was asked this time lags behind."""
    held, seen = copy.content.origin.revision, wanted.content.origin.revision
    if held and seen:
        return held >= seen
    return copy.content == wanted.content


def _retracted(record: TestRecord) -> bool:
    return record.action == RevisionAction.REVISION_ACTION_RETRACTED


def _original(record: TestRecord) -> bool:
    return not record.content.HasField("origin")


def _closeness(record: TestRecord, region: str) -> tuple[bool, bool, int, str]:
    # Kept elsewhere before kept here, original before copy, then the copy of the latest revision.
    return (record.region != region, _original(record), record.content.origin.revision, record.region)


def _age(record: TestRecord) -> tuple[int, int, Identity]:
    content = record.content
    reported = from_timestamp(content.reported_at)
    sampled = from_timestamp(content.sampled_at) if content.HasField("sampled_at") else reported
    return (sampled, reported, identity(record))


def copy_id(word: str, region: str, source_id: str) -> str:
    """Returns the id of a copy that came to be in a way: `claim` or `cert`."""
    plain = f"{word}-{region}-{source_id}"
    if len(plain) <= MOST_ID:
        return plain
    return f"{word}-{region}-{sha256(source_id.encode()).hexdigest()[:48]}"
